"""The figures of a comparison: learning curves of all configurations, and accuracies with their intervals."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from pipeline.plots.canvas import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, canvas

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "black")
LINES = ("-", "--", "-.", ":")
MAX_CURVES = 8
"""The number of configurations whose curves can be distinguished in one figure."""


def curves(path: Path, histories: dict[str, list[list[dict[str, float]]]], data: str) -> None:
    """Draw val accuracy and loss by epoch: for each label the mean of its runs, and a band from lowest to highest.

    Only the first MAX_CURVES labels are drawn.
    """
    shown = {textwrap.fill(label, 110): runs for label, runs in list(histories.items())[:MAX_CURVES]}
    lines = sum(1 + label.count("\n") for label in shown)
    more = f", the first {MAX_CURVES} of {len(histories)}" if len(histories) > MAX_CURVES else ""
    with canvas(path, 10, 4.4 + 0.22 * lines, f"Learning curves on val, {data}{more}") as figure:
        axes = figure.subplots(1, 2)
        for index, (label, runs) in enumerate(shown.items()):
            colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
            _draw_curves(axes, label, runs, colour, line)
        axes[0].set(title="accuracy", ylabel="images classified correctly")
        axes[1].set(title="loss", ylabel="cross-entropy in nats")
        axes[0].yaxis.set_major_formatter("{x:g}%")
        for a in axes:
            a.set_xlabel("epoch")
            a.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            a.grid(visible=True)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=1, handlelength=3.5)


def _draw_curves(axes: np.ndarray, label: str, runs: list[list[dict[str, float]]], colour: str, line: str) -> None:
    epochs = range(1, min(map(len, runs)) + 1)
    dot = "o" if len(epochs) <= 15 else None
    for a, key, scale in (axes[0], "val_accuracy", 100), (axes[1], "val_loss", 1):
        values = np.array([[history[e - 1][key] * scale for e in epochs] for history in runs])
        a.plot(epochs, values.mean(0), line, color=colour, lw=2, marker=dot, ms=4, label=label)
        if len(runs) > 1:
            a.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.15, lw=0)


def accuracies(path: Path, rows: list[dict], title: str) -> None:
    """Draw accuracy and its 95% interval for each of `rows` (label, accuracy, low, high, each_run), best on top."""
    labels = [textwrap.fill(row["label"], 60) for row in rows]
    lines = max(label.count("\n") for label in labels)
    with canvas(path, 10, 1.4 + (0.42 + 0.18 * lines) * len(rows), title) as figure:
        axes = figure.add_subplot(xlabel="images classified correctly: mean, 95% interval, and each run (small)")
        for place, row in enumerate(rows):
            low, mean, high = (100 * row[key] for key in ("low", "accuracy", "high"))
            axes.plot([low, high], [place, place], color=BLUE, lw=5, alpha=0.35, solid_capstyle="round")
            if len(row["each_run"]) > 1:
                runs = [100 * value for value in row["each_run"]]
                axes.plot(runs, [place] * len(runs), "o", color="black", ms=3, zorder=3)
            axes.plot([mean], [place], "D", color=BLUE, ms=7)
            axes.annotate(f"{mean:.2f}%", (high, place), (8, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.margins(x=0.1)
        axes.xaxis.set_major_formatter("{x:g}%")
        axes.grid(visible=True, axis="x")
        axes.tick_params(axis="y", length=0)
