"""Divides images into train, val and test: seeded, stratified, and without equal images on two sides."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from pipeline.core.errors import PipelineError


class Image(NamedTuple):
    """An image without its pixels: its split (None before it is divided), its class, and the digest of its pixels."""

    split: str | None
    label: str
    digest: bytes


def divide(images: list[Image], shares: dict[str, float], seed: int) -> list[str]:
    """Return the split of each of `images`.

    Those without a split are train. Of the train images of each class, the share that `shares` states is moved to each
    split in it. Equal images move together, and not at all if another split has an equal one. The result depends on
    pixels, classes and `seed`, not on the order or the names of the files. Raises PipelineError if a class has too few
    images.
    """
    splits = [image.split or "train" for image in images]
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        groups[image.digest].append(i)
    free: defaultdict[str, list[list[int]]] = defaultdict(list)
    for digest in sorted(groups):
        members = groups[digest]
        if all(splits[i] == "train" for i in members):
            free[min(images[i].label for i in members)].append(members)
    rng = np.random.default_rng(seed)
    for label in sorted({image.label for image in images}):
        own = [free[label][i] for i in rng.permutation(len(free[label]))]
        train = sum(image.label == label and split == "train" for image, split in zip(images, splits, strict=True))
        for split, share in shares.items():
            for members in _take(own, max(1, round(share * train)), label, split):
                for i in members:
                    splits[i] = split
    return splits


def _take(own: list[list[int]], wanted: int, label: str, split: str) -> list[list[int]]:
    """Remove groups with `wanted` images at most, or else one group, from `own`, and return them; leave one there."""
    taken: list[list[int]] = []
    left: list[list[int]] = []
    for members in own:
        if len(members) <= wanted and len(taken) < len(own) - 1:
            taken.append(members)
            wanted -= len(members)
        else:
            left.append(members)
    if not taken and len(own) > 1:
        taken = [min(own, key=len)]
        left = [members for members in own if members is not taken[0]]
    own[:] = left
    if not taken:
        raise PipelineError(
            f"the class {label} has too few different images to take some for {split}; accepted: one or more for each "
            "of train, val and test"
        )
    return taken


def straddling(images: list[Image], splits: list[str]) -> dict[str, int]:
    """Return how many images of val and test are in train too, and how many of test are in val."""
    digests: defaultdict[str, set[bytes]] = defaultdict(set)
    for image, split in zip(images, splits, strict=True):
        digests[split].add(image.digest)
    pairs = (("val", "train"), ("test", "train"), ("test", "val"))
    counts = {
        f"{one} images also in {other}": sum(
            split == one and image.digest in digests[other] for image, split in zip(images, splits, strict=True)
        )
        for one, other in pairs
    }
    return {pair: n for pair, n in counts.items() if n}


def conflicting(images: list[Image]) -> int:
    """Return how many of `images` have an equal one of another class."""
    labels: defaultdict[bytes, set[str]] = defaultdict(set)
    for image in images:
        labels[image.digest].add(image.label)
    return sum(len(labels[image.digest]) > 1 for image in images)
