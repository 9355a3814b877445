"""Figures of the dataset: sample faces and class balance."""

from pathlib import Path

import numpy as np

from pipeline.plots.canvas import bars, canvas


def samples(path: Path, faces: dict[str, np.ndarray], data: str) -> None:
    """Draw one row of faces per emotion; `faces` has (k, 48, 48) uint8 for each."""
    gap, most = 3, max(len(pixels) for pixels in faces.values())
    size = next(iter(faces.values())).shape[-1]
    mosaic = np.full((len(faces) * (size + gap), most * (size + gap)), 255, np.uint8)
    for row, pixels in enumerate(faces.values()):
        for column, face in enumerate(pixels):
            top, left = row * (size + gap), column * (size + gap)
            mosaic[top : top + size, left : left + size] = face
    size_in_inches = max(1.4 + 0.8 * most, 4.5), 0.7 + 0.8 * len(faces)
    with canvas(path, *size_in_inches, f"Example faces, {data}") as figure:
        axes = figure.add_subplot()
        axes.imshow(mosaic, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_yticks([row * (size + gap) + size / 2 for row in range(len(faces))], list(faces))
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)


def balance(path: Path, counts: dict[str, dict[str, int]], data: str) -> None:
    """Draw `counts[emotion][split]` as bars with counts and shares of the split."""
    splits = list(next(iter(counts.values())))
    totals = {split: sum(row[split] for row in counts.values()) or 1 for split in splits}
    texts = {e: [f"{row[s]:,} ({row[s] / totals[s]:.1%})" for s in splits] for e, row in counts.items()}
    with canvas(path, 8, 1.2 + 0.62 * len(counts), f"Images of each emotion, {data}") as figure:
        axes = figure.add_subplot(xlabel="images (share of the split)")
        bars(axes, counts, splits, texts)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.17)
        axes.set_xlim(left=0)
