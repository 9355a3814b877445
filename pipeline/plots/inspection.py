"""Faces with their truth, prediction and probabilities, to be looked at."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from pipeline.plots.canvas import BLUE, GREEN, GREY, VERMILLION, canvas

CARD, CARDS_A_ROW = (3.3, 1.7), 3
"""Width and height in inches of one inspected face with its texts and bars, and how many stand in a row."""


def inspection(path: Path, faces: list[dict], data: str, title: str = "Manual inspection") -> None:
    """Draw faces with truth, prediction and probabilities.

    Each of `faces` has pixels (48, 48) of grey bytes, truth, prediction, confidence in [0, 1] and
    probabilities by emotion; there may be none.
    """
    columns = min(max(len(faces), 2), CARDS_A_ROW)
    width, height = columns * CARD[0] + 0.2, -(-len(faces) // columns) * CARD[1] + 0.75
    right = sum(face["truth"] == face["prediction"] for face in faces)
    found = f"{right} of {len(faces)} right" if right else f"{len(faces)} wrong" if faces else "no image to show"
    with canvas(path, width, height, f"{title}, {data}: {found}", layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
        axes.set_axis_off()
        for place, face in enumerate(faces):
            row, column = divmod(place, columns)
            _card(axes, face, 0.15 + column * CARD[0], height - 0.35 - (row + 1) * CARD[1])
        meanings = {"right prediction": GREEN} if right else {}
        meanings |= {"wrong prediction": VERMILLION, "truth": BLUE} if right < len(faces) else {}
        meanings |= {"other emotions": GREY} if faces else {}
        patches = [Patch(color=colour, label=label) for label, colour in meanings.items()]
        figure.legend(handles=patches, loc="lower center", ncols=4, fontsize=9)


def _card(axes: Axes, face: dict, left: float, bottom: float) -> None:
    """Draw one face of an inspection from the point (left, bottom) on, in inches."""
    right = face["truth"] == face["prediction"]
    symbol, colour, ink = ("✓", GREEN, "#00694D") if right else ("✗", VERMILLION, "#A84300")
    saying = f"{symbol} {face['prediction']}, {face['confidence']:.0%} sure"
    axes.text(left, bottom + 1.37, saying, color=ink, weight="bold")
    axes.text(left + 1.82, bottom + 1.37, "" if right else f"truth: {face['truth']}")
    extent = left, left + 1.18, bottom + 0.1, bottom + 1.28
    axes.imshow(face["pixels"], cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=extent, aspect="auto")
    axes.add_patch(Rectangle((left, bottom + 0.1), 1.18, 1.18, fill=False, edgecolor=colour, linewidth=3))

    colours = {face["truth"]: BLUE, face["prediction"]: colour}
    zero, step = left + 1.85, min(1.18 / len(face["probabilities"]), 0.25)
    for place, (emotion, share) in enumerate(face["probabilities"].items()):
        y = bottom + 1.28 - (place + 0.5) * step
        axes.add_patch(Rectangle((zero, y - 0.4 * step), 0.9 * share, 0.8 * step, color=colours.get(emotion, GREY)))
        axes.text(zero - 0.05, y, emotion, size=8.5, ha="right", va="center_baseline")
        axes.text(zero + 0.9 * share + 0.03, y, f"{share:.0%}", size=8, va="center_baseline")
    axes.vlines(zero, y - step / 2, bottom + 1.28, color="black", lw=0.8)
