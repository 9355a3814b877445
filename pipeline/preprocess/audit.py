"""Audits a dataset: counts, duplicates, conflicting labels, and signs of alteration."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.constants import SPLITS
from pipeline.data import arrays
from pipeline.faces.sharpness import BLANK, sharpness

CHUNK = 1024
"""Images in memory at once."""

BLURRED = 0.5
"""Sharpness of a split, as a share of the sharpest split's, below which the split looks blurred."""

EQUALISED = 0.05
"""Mean distance of the images' histograms from a flat one, below which the images look equalised."""


def audit(folder: Path) -> dict[str, Any]:
    """Return the findings on the arrays in `folder`; report.html explains each of them."""
    classes = arrays.names(folder)
    prints = {split: _fingerprints(folder, split) for split in SPLITS}
    labels = {split: arrays.load(folder, split, classes).labels.astype(np.uint8) for split in SPLITS}
    statistics = {split: _image_statistics(_pixels(folder, split)) for split in SPLITS}
    measured = {
        name: {split: round(statistics[split][name], 4) for split in SPLITS}
        for name in ("sharpness", "grey_levels", "histogram_distance")
    }
    return {
        "data": arrays.identity(folder),
        "images": {split: _per_class(labels[split], classes) for split in SPLITS},
        "duplicates": {
            "within": {split: _duplicates(prints[split]) for split in SPLITS},
            "across": {
                "val_in_train": int(np.isin(prints["val"], prints["train"]).sum()),
                "test_in_train": int(np.isin(prints["test"], prints["train"]).sum()),
                "test_in_val": int(np.isin(prints["test"], prints["val"]).sum()),
            },
        },
        "conflicts": _conflicts(np.concatenate(list(prints.values())), np.concatenate(list(labels.values()))),
        "blank": {split: statistics[split]["blank"] for split in SPLITS},
        "altered": {**measured, "signs": _signs(measured) or None},  # `dvc plots` fails on an empty list
    }


def not_in(folder: Path, split: str, other: str) -> np.ndarray:
    """Return (n,) bool: which images of `split` have no equal image, pixel for pixel, in the split `other`."""
    return np.isin(_fingerprints(folder, split), _fingerprints(folder, other), invert=True)


def samples(folder: Path, per_class: int) -> dict[str, np.ndarray]:
    """Return the first training images of each class that has any, (k, 48, 48) uint8."""
    classes = arrays.names(folder)
    train = arrays.load(folder, "train", classes)
    first = {name: np.flatnonzero(train.labels == i)[:per_class] for i, name in enumerate(classes)}
    return {name: train.images(rows) for name, rows in first.items() if len(rows)}


def _pixels(folder: Path, split: str) -> np.ndarray:
    return np.load(folder / f"{split}.npy", mmap_mode="r")


def _chunks(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(pixels), CHUNK):
        yield np.asarray(pixels[start : start + CHUNK])


def _fingerprints(folder: Path, split: str) -> np.ndarray:
    """Return (n,) 16-byte hashes of the images, as an array of bytes that NumPy can sort and compare."""
    images = _pixels(folder, split)
    prints = np.empty(len(images), "S16")
    for number, chunk in enumerate(_chunks(images)):
        hashed = b"".join(blake2b(image, digest_size=16).digest() for image in chunk)
        prints[number * CHUNK :][: len(chunk)] = np.frombuffer(hashed, "S16")
    return prints


def _per_class(labels: np.ndarray, classes: list[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, counts, strict=True)}


def _duplicates(prints: np.ndarray) -> dict[str, int]:
    _, counts = np.unique(prints, return_counts=True)
    return {"surplus": int((counts - 1).sum()), "groups": int((counts > 1).sum())}


def _conflicts(prints: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """Return how many groups of equal images, over all splits, have different labels, and how many images these are."""
    _, group, sizes = np.unique(prints, return_inverse=True, return_counts=True)
    pairs = np.unique(group * 256 + labels)  # labels are 8-bit
    conflicting = sizes[np.bincount(pairs // 256) > 1]
    return {"groups": len(conflicting), "images": int(conflicting.sum())}


def _image_statistics(pixels: np.ndarray) -> dict[str, Any]:
    """Return the number of blank images, and the means of three statistics of an image.

    sharpness: pipeline/faces/sharpness.py. grey_levels: the number of different levels. histogram_distance: the largest
    difference between the cumulative histogram and a flat one (Kolmogorov-Smirnov).
    """
    blank, sums = 0, dict.fromkeys(("sharpness", "grey_levels", "histogram_distance"), 0.0)
    for chunk in _chunks(pixels):
        offsets = 256 * np.arange(len(chunk))[:, None]
        levels = np.bincount((chunk.reshape(len(chunk), -1) + offsets).ravel(), minlength=256 * len(chunk))
        levels = levels.reshape(len(chunk), 256)
        cumulative = levels.cumsum(axis=1) / levels.sum(axis=1, keepdims=True)
        blank += int((chunk.std(axis=(1, 2)) < BLANK).sum())
        sums["sharpness"] += sum(map(sharpness, chunk))
        sums["grey_levels"] += float((levels > 0).sum())
        sums["histogram_distance"] += float(np.abs(cumulative - np.arange(1, 257) / 256).max(axis=1).sum())
    return {"blank": blank} | {name: total / len(pixels) for name, total in sums.items()}


def _signs(measured: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each sign that the images were altered after publication."""
    sharpness = measured["sharpness"]
    sharpest = max(sharpness, key=lambda split: sharpness[split])
    signs = [
        f"{split} looks blurred: its sharpness is {value:.3f}, and {sharpest} has {sharpness[sharpest]:.3f}"
        for split, value in sharpness.items()
        if value < BLURRED * sharpness[sharpest]
    ]
    return signs + [
        f"{split} looks histogram-equalised: the mean distance from a flat histogram is {value:.3f}"
        for split, value in measured["histogram_distance"].items()
        if value < EQUALISED
    ]
