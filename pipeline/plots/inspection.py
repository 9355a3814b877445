"""Faces with their true emotion, prediction and probabilities, for inspection."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from pipeline.plots.canvas import BLUE, GREEN, GREY, VERMILLION, canvas

CARD, CARDS_PER_ROW = (3.3, 1.7), 3
"""Width and height in inches of one face with its texts and bars, and the number of faces per row."""


def inspection(path: Path, faces: list[dict], data: str, title: str = "Manual inspection") -> None:
    """Draw faces with truth, prediction and probabilities.

    Each of `faces` has pixels (48, 48) uint8, truth, prediction, confidence in [0, 1] and probabilities by emotion.
    `faces` may be empty.
    """
    columns = min(max(len(faces), 2), CARDS_PER_ROW)
    width, height = columns * CARD[0] + 0.2, -(-len(faces) // columns) * CARD[1] + 0.75
    correct = sum(face["truth"] == face["prediction"] for face in faces)
    result = f"{correct} of {len(faces)} correct" if correct else f"{len(faces)} wrong" if faces else "no image to show"
    with canvas(path, width, height, f"{title}, {data}: {result}", layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
        axes.set_axis_off()
        for index, face in enumerate(faces):
            row, column = divmod(index, columns)
            _card(axes, face, 0.15 + column * CARD[0], height - 0.35 - (row + 1) * CARD[1])
        meanings = {"correct prediction": GREEN} if correct else {}
        meanings |= {"wrong prediction": VERMILLION, "truth": BLUE} if correct < len(faces) else {}
        meanings |= {"other emotions": GREY} if faces else {}
        patches = [Patch(color=colour, label=label) for label, colour in meanings.items()]
        figure.legend(handles=patches, loc="lower center", ncols=4, fontsize=9)


def _card(axes: Axes, face: dict, left: float, bottom: float) -> None:
    """Draw one face with its lower left corner at (left, bottom), in inches."""
    correct = face["truth"] == face["prediction"]
    symbol, colour, ink = ("✓", GREEN, "#00694D") if correct else ("✗", VERMILLION, "#A84300")
    text = f"{symbol} {face['prediction']}, {face['confidence']:.0%}"
    axes.text(left, bottom + 1.37, text, color=ink, weight="bold")
    axes.text(left + 1.82, bottom + 1.37, "" if correct else f"truth: {face['truth']}")
    extent = left, left + 1.18, bottom + 0.1, bottom + 1.28
    axes.imshow(face["pixels"], cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=extent, aspect="auto")
    axes.add_patch(Rectangle((left, bottom + 0.1), 1.18, 1.18, fill=False, edgecolor=colour, linewidth=3))

    colours = {face["truth"]: BLUE, face["prediction"]: colour}
    zero, step = left + 1.85, min(1.18 / len(face["probabilities"]), 0.25)
    for index, (emotion, probability) in enumerate(face["probabilities"].items()):
        y = bottom + 1.28 - (index + 0.5) * step
        axes.add_patch(
            Rectangle((zero, y - 0.4 * step), 0.9 * probability, 0.8 * step, color=colours.get(emotion, GREY))
        )
        axes.text(zero - 0.05, y, emotion, size=8.5, ha="right", va="center_baseline")
        axes.text(zero + 0.9 * probability + 0.03, y, f"{probability:.0%}", size=8, va="center_baseline")
    axes.vlines(zero, y - step / 2, bottom + 1.28, color="black", lw=0.8)
