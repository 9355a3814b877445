"""What is to be known of a data set before it is trusted: counts, duplicates, labels, signs of alteration."""

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.schema import EMOTIONS, SPLITS
from pipeline.data import arrays

CHUNK = 1024
"""Images looked at together: memory stays the same however many there are."""

BLANK = 2.0
"""Standard deviation, in grey levels, under which an image shows nothing."""

BLURRED = 0.7
"""Sharpness of a split, as a share of the sharpest one's, under which the split looks blurred."""

EQUALISED = 0.05
"""Mean distance of the images' histograms from a flat one under which they look equalised."""


def audit(folder: Path) -> dict[str, Any]:
    """Return the findings on the arrays in `folder`; the report explains each of them."""
    splits = {split: arrays.load(folder, split, list(EMOTIONS)) for split in SPLITS}
    prints = {split: _fingerprints(splits[split]) for split in SPLITS}
    looks = {split: _looks(splits[split]) for split in SPLITS}
    measured = {
        name: {split: round(float(looks[split][name].mean()), 4) for split in SPLITS}
        for name in ("sharpness", "grey_levels", "histogram_distance")
    }
    return {
        "data": arrays.identity(folder),
        "images": {split: _per_emotion(splits[split].labels) for split in SPLITS},
        "duplicates": {
            "within": {split: _within(prints[split]) for split in SPLITS},
            "across": {
                "val_in_train": _shared(prints["val"], prints["train"]),
                "test_in_train": _shared(prints["test"], prints["train"]),
                "test_in_val": _shared(prints["test"], prints["val"]),
            },
        },
        "conflicts": _conflicts(prints, splits),
        "blank": {split: int((looks[split]["deviation"] < BLANK).sum()) for split in SPLITS},
        "altered": {**measured, "signs": _signs(measured)},
    }


def not_in(folder: Path, split: str, other: str) -> np.ndarray:
    """Return (n,) bool: the images of `split` that stand in `other` nowhere, pixel for pixel."""
    known = set(_fingerprints(arrays.load(folder, other, list(EMOTIONS))))
    images = arrays.load(folder, split, list(EMOTIONS))
    return np.array([key not in known for key in _fingerprints(images)])


def samples(folder: Path, per_emotion: int) -> dict[str, np.ndarray]:
    """Return the first training images of each emotion that has any, (k, 48, 48) uint8."""
    train = arrays.load(folder, "train", list(EMOTIONS))
    first = {name: np.flatnonzero(train.labels == i)[:per_emotion] for i, name in enumerate(EMOTIONS)}
    return {name: train.images(rows) for name, rows in first.items() if len(rows)}


def _chunks(split: arrays.Split) -> Iterator[np.ndarray]:
    for start in range(0, len(split), CHUNK):
        yield split.images(slice(start, start + CHUNK))


def _fingerprints(split: arrays.Split) -> list[bytes]:
    return [blake2b(image, digest_size=16).digest() for chunk in _chunks(split) for image in chunk]


def _per_emotion(labels: np.ndarray) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(EMOTIONS))
    return {name: int(n) for name, n in zip(EMOTIONS, counts, strict=True)}


def _within(prints: list[bytes]) -> dict[str, int]:
    groups = [n for n in Counter(prints).values() if n > 1]
    return {"surplus": sum(groups) - len(groups), "groups": len(groups)}


def _shared(prints: list[bytes], others: list[bytes]) -> int:
    known = set(others)
    return sum(key in known for key in prints)


def _conflicts(prints: dict[str, list[bytes]], splits: dict[str, arrays.Split]) -> dict[str, int]:
    """Return how many groups of equal images, over all splits, carry different labels, and their images."""
    labels: dict[bytes, list[int]] = {}
    for split in SPLITS:
        for key, label in zip(prints[split], splits[split].labels, strict=True):
            labels.setdefault(key, []).append(int(label))
    torn = [group for group in labels.values() if len(set(group)) > 1]
    return {"groups": len(torn), "images": sum(map(len, torn))}


def _looks(split: arrays.Split) -> dict[str, np.ndarray]:
    """Return four numbers for each image.

    deviation: of the grey levels. sharpness: the standard deviation of the Laplacian, as a share of the
    deviation, so that contrast does not count. grey_levels: how many different ones there are.
    histogram_distance: the largest difference of the cumulative histogram from that of equally frequent
    levels (Kolmogorov-Smirnov), 0 where the histogram is flat.
    """
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("deviation", "sharpness", "grey_levels", "histogram_distance")
    }
    for chunk in _chunks(split):
        grey = chunk.astype(np.float32)
        laplacian = (
            4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1] - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:]
        )
        deviation = grey.std(axis=(1, 2))
        offsets = 256 * np.arange(len(chunk))[:, None]
        levels = np.bincount((chunk.reshape(len(chunk), -1) + offsets).ravel(), minlength=256 * len(chunk))
        levels = levels.reshape(len(chunk), 256)
        cumulative = levels.cumsum(axis=1) / levels.sum(axis=1, keepdims=True)
        found["deviation"].append(deviation)
        found["sharpness"].append(laplacian.std(axis=(1, 2)) / np.maximum(deviation, BLANK))
        found["grey_levels"].append((levels > 0).sum(axis=1))
        found["histogram_distance"].append(np.abs(cumulative - np.arange(1, 257) / 256).max(axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}


def _signs(measured: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each sign that the images are not as they were published."""
    sharpness = measured["sharpness"]
    sharpest = max(sharpness, key=sharpness.get)
    signs = [
        f"{split} looks blurred: its sharpness is {value:.3f}, that of {sharpest} {sharpness[sharpest]:.3f}"
        for split, value in sharpness.items()
        if value < BLURRED * sharpness[sharpest]
    ]
    return signs + [
        f"{split} looks histogram-equalised: the mean distance from a flat histogram is {value:.3f}"
        for split, value in measured["histogram_distance"].items()
        if value < EQUALISED
    ]
