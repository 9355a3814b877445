"""Figures of a model's scores: confusion matrix, precision, recall and F1 by emotion, calibration."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from pipeline.plots.canvas import BLUE, VERMILLION, bars, canvas

LONG = 9
"""Letters of a class's name from which on the names below the confusion matrix would overlap."""


def confusion(path: Path, matrix: np.ndarray, classes: list[str], title: str) -> None:
    """Draw counts `matrix[truth, prediction]`, coloured and labelled by their share of the row."""
    images = matrix.sum(axis=1)
    shares = matrix / np.maximum(images, 1)[:, None]
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    side = max(0.82 * len(classes), 3)
    heading = f"{title}: {accuracy:.2%} of {matrix.sum():,} correct"
    with canvas(path, max(side + 2.4, 7), side + 1.3, heading) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            text = f"{share:.1%}\n{matrix[row, column]:,}"
            colour = "white" if share > 0.68 else "black"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, text, ha="center", va="center", size=9, color=colour, weight=weight)
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > LONG else 0)
        axes.set_yticks(ticks, [f"{name}\n({count:,})" for name, count in zip(classes, images, strict=True)])
        axes.set(xlabel="prediction", ylabel="truth (images)")
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, shrink=0.7, aspect=30, label="share of the emotion's images")
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
        bar.outline.set_visible(False)


def emotions(path: Path, per_class: dict[str, dict[str, float]], title: str) -> None:
    """Draw precision, recall and F1 of each emotion, with its number of images."""
    keys = {"precision": "precision", "recall": "recall", "f1": "F1"}
    rows = {f"{e}\n({r['images']:,})": {keys[k]: r[k] for k in keys} for e, r in per_class.items()}
    texts = {label: [f"{score:.1%}" for score in row.values()] for label, row in rows.items()}
    with canvas(path, 8, 1.2 + 0.62 * len(rows), title) as figure:
        axes = figure.add_subplot(xlabel="score", ylabel="emotion (images)", xlim=(0, 1.08))
        bars(axes, rows, list(keys.values()), texts)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1))


def calibration(path: Path, bins: list[dict], title: str) -> None:
    """Draw accuracy against confidence, and the number of images in each bin."""
    filled = [b for b in bins if b["count"]]
    confidence, accuracy = [b["confidence"] for b in filled], [b["accuracy"] for b in filled]
    with canvas(path, 6.5, 6.3, title) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color="black", lw=1, ls=":", label="confidence = accuracy")
        upper.vlines(confidence, accuracy, confidence, color=VERMILLION, lw=3, alpha=0.5, label="gap")
        upper.plot(confidence, accuracy, "o-", color=BLUE, lw=2, ms=6, clip_on=False, label="model")
        upper.text(0.97, 0.04, "overconfident", ha="right", color="#555555", style="italic")
        upper.text(0.03, 0.94, "underconfident", color="#555555", style="italic")
        upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        lower.bar(confidence, [b["count"] for b in filled], min(0.7 / len(bins), 0.07), color=BLUE)
        lower.set(xlabel="confidence: probability of the prediction", ylabel="images")
        lower.xaxis.set_major_formatter(PercentFormatter(1))
        upper.yaxis.set_major_formatter(PercentFormatter(1))
        lower.yaxis.set_major_formatter("{x:,.0f}")
        for axes in upper, lower:
            axes.grid(visible=True)
        figure.align_ylabels()
        figure.legend(loc="outside lower center", ncols=3)
