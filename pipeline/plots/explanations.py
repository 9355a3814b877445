"""Faces overlaid with Grad-CAM maps."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipeline.plots.canvas import canvas

SIDE, GAP, HEAD = 1.3, 0.12, 0.22
"""Inches: the side of a picture, the gap between two, the line of text above each."""
PICTURES_PER_ROW = 6


def explanations(path: Path, faces: list[dict], title: str) -> None:
    """Draw each face as it is, with the map of its prediction, and with that of its true emotion if it differs.

    Each of `faces` has pixels (48, 48) uint8, prediction, confidence in [0, 1], truth (None if unknown) and maps: for
    each of these emotions (48, 48) from 0 (no support) to 1 (most). It may have `rejected`, the reason why the
    prediction is rejected. `faces` may be empty.
    """
    per_face = 1 + max((len(face["maps"]) for face in faces), default=PICTURES_PER_ROW - 1)
    columns = min(max(len(faces), 2), PICTURES_PER_ROW // per_face)
    cell = per_face * (SIDE + GAP) + 2 * GAP
    width = columns * cell + GAP
    height = -(-len(faces) // columns) * (SIDE + HEAD + GAP) + 0.75
    with canvas(path, width, height, title, layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
        axes.set_axis_off()
        for index, face in enumerate(faces):
            row, column = divmod(index, columns)
            _face(axes, face, GAP + column * cell, height - 0.35 - (row + 1) * (SIDE + HEAD + GAP))
        note = "yellow: strongest support for the emotion; blue: none" if faces else "no image to show"
        axes.text(GAP, 0.12, f"Grad-CAM, {note}", size=9)


def _face(axes: Axes, face: dict, left: float, bottom: float) -> None:
    truth = face["truth"]
    rejected = face.get("rejected", "")
    texts = [
        f"truth: {truth}" if truth else rejected,
        f"{face['prediction']}{'?' if rejected else ''} {face['confidence']:.0%}",
    ]
    overlays = [None, face["maps"][face["prediction"]]]
    if truth not in (None, face["prediction"]):
        texts.append(f"for {truth}")
        overlays.append(face["maps"][truth])
    for index, (text, overlay) in enumerate(zip(texts, overlays, strict=True)):
        x = left + index * (SIDE + GAP)
        position = {"extent": (x, x + SIDE, bottom, bottom + SIDE), "aspect": "auto"}
        axes.imshow(face["pixels"], cmap="gray", vmin=0, vmax=255, interpolation="nearest", **position)
        if overlay is not None:
            axes.imshow(np.asarray(overlay), cmap="cividis", vmin=0, vmax=1, alpha=0.5, **position)
        axes.text(x, bottom + SIDE + 0.05, text, size=9, weight="bold" if index == 1 else "normal")
