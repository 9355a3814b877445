"""Faces with the places that speak for an emotion laid over them."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipeline.plots.canvas import canvas

SIDE, GAP, HEAD = 1.3, 0.12, 0.22
"""Inches: the side of a picture, what lies between two, the line of text above each."""
PICTURES_A_ROW = 6


def explanations(path: Path, faces: list[dict], title: str) -> None:
    """Draw each face as it is, and with what speaks for what the network says, and for the truth where that is another.

    Each of `faces` has pixels (48, 48) of grey bytes, prediction, confidence in [0, 1], truth (None where it is not
    known) and maps: for each of these emotions (48, 48) numbers from 0 (nothing) to 1 (most). It may have a doubt, why
    the prediction is unsure. There may be no faces.
    """
    pictures = 1 + max((len(face["maps"]) for face in faces), default=PICTURES_A_ROW - 1)  # of a face
    columns = min(max(len(faces), 2), PICTURES_A_ROW // pictures)
    cell = pictures * (SIDE + GAP) + 2 * GAP
    width = columns * cell + GAP
    height = -(-len(faces) // columns) * (SIDE + HEAD + GAP) + 0.75
    with canvas(path, width, height, title, layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
        axes.set_axis_off()
        for place, face in enumerate(faces):
            row, column = divmod(place, columns)
            _face(axes, face, GAP + column * cell, height - 0.35 - (row + 1) * (SIDE + HEAD + GAP))
        note = "yellow: where most speaks for the emotion; blue: nothing" if faces else "no image to show"
        axes.text(GAP, 0.12, f"Grad-CAM, {note}", size=9)


def _face(axes: Axes, face: dict, left: float, bottom: float) -> None:
    truth = face["truth"]
    doubt = f"unsure: {face['doubt']}" if face.get("doubt") else ""
    texts = [f"truth: {truth}" if truth else doubt, f"{face['prediction']} {face['confidence']:.0%}"]
    overlays = [None, face["maps"][face["prediction"]]]
    if truth not in (None, face["prediction"]):
        texts.append(f"for {truth}")
        overlays.append(face["maps"][truth])
    for place, (text, overlay) in enumerate(zip(texts, overlays, strict=True)):
        x = left + place * (SIDE + GAP)
        where = {"extent": (x, x + SIDE, bottom, bottom + SIDE), "aspect": "auto"}
        axes.imshow(face["pixels"], cmap="gray", vmin=0, vmax=255, interpolation="nearest", **where)
        if overlay is not None:
            axes.imshow(np.asarray(overlay), cmap="cividis", vmin=0, vmax=1, alpha=0.5, **where)
        axes.text(x, bottom + SIDE + 0.05, text, size=9, weight="bold" if place == 1 else "normal")
