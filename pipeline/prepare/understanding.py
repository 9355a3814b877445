"""Reads a source as a dataset: classes, splits, and the pixels of every image."""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple

import yaml

from pipeline.core import paths
from pipeline.core.constants import SPLITS
from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.prepare import reading, splits
from pipeline.prepare.names import Names
from pipeline.prepare.splits import Image

SHARE = 0.1
"""Share of the training images that becomes val or test, if the source has none and no option states another."""
MOST_CLASSES = 50


class Options(NamedTuple):
    """How to read a source: the shares are None if they are not stated."""

    inside: str
    mapped: dict[str, str]
    keep_names: bool
    val_share: float | None
    test_share: float | None
    seed: int
    skip_broken: bool


class Understood(NamedTuple):
    """The images of a source with the split of each, and what was divided, mapped, converted and left out.

    `divided` has the share of the training images that became val or test; `left` the names of files by reason.
    """

    images: list[Image]
    splits: list[str]
    divided: dict[str, float]
    names: Names
    sizes: Counter[tuple[int, int]]
    colour: int
    left: dict[str, list[str]]

    def counts(self) -> dict[str, list[int]]:
        """Return the number of images of each class in train, val and test."""
        return _counts((image.label, split) for image, split in zip(self.images, self.splits, strict=True))


def _counts(images: Iterable[tuple[str, str | None]]) -> dict[str, list[int]]:
    found = Counter(images)
    return {label: [found[label, split] for split in SPLITS] for label in sorted({label for label, _ in found})}


def understand(source: Path, options: Options, pixels: IO[bytes]) -> Understood:
    """Return what is in `source`, and write the pixels of its images, 48x48 bytes each, to `pixels`.

    Raises PipelineError if that is no dataset of two or more classes, or FER-2013 itself.
    """
    plan = reading.plan(source, options.inside)
    names = Names(options.mapped, options.keep_names, plan.codes)
    _check_labels([(place.split, place.label) for place in plan.images.values()], names)
    _check_not_fer2013(source, _counts((names(place.label), place.split) for place in plan.images.values()))
    images, labels, sizes, colour = [], set(), Counter[tuple[int, int]](), 0
    broken: list[str] = []
    with progress("reading", len(plan.images) or None, "images") as advance:
        for found in reading.labelled(source, options.inside, plan, broken if options.skip_broken else None):
            picture = found.picture
            pixels.write(picture.face.tobytes())
            images.append(
                Image(found.split, names(found.label), blake2b(picture.face.tobytes(), digest_size=16).digest())
            )
            labels.add((found.split, found.label))
            sizes[picture.size] += 1
            colour += picture.colour
            advance(1)
    if lost := sorted({names(place.label) for place in plan.images.values()} - {image.label for image in images}):
        raise PipelineError(f"{source}: no picture of {', '.join(lost[:5])} can be read; accepted: some of each class")
    _check_labels(list(labels), names)
    _check_classes(source, images, names)
    divided = _divided({image.split for image in images}, options)
    divisions = splits.divide(images, divided, options.seed)
    left = plan.left | ({"broken": broken} if broken else {})
    understood = Understood(images, divisions, divided, names, sizes, colour, left)
    _check_counts(source, understood)
    return understood


def _check_labels(labels: list[tuple[str | None, str]], names: Names) -> None:
    for split in {split for split, _ in labels}:
        names.require_one_each({label for own, label in labels if own == split})


def _check_classes(source: Path, images: list[Image], names: Names) -> None:
    classes = sorted({image.label for image in images})
    if not 2 <= len(classes) <= MOST_CLASSES:
        number = "one class" if len(classes) == 1 else f"{len(classes)} classes"
        shown = f" ({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''})" if classes else ""
        raise PipelineError(
            f"{source} has {len(images):,} labelled pictures of {number}{shown}; accepted: 2 to "
            f"{MOST_CLASSES} classes, a folder of pictures or a label for each"
        )
    if unused := sorted(set(names.given) - set(names.found)):
        raise PipelineError(
            f"--map {unused[0]}: {source} has no such class; accepted: {', '.join(sorted(names.found))}"
        )


def _divided(found: set[str | None], options: Options) -> dict[str, float]:
    """Return the share of train that is to become each split that is not in `found`, the splits of the source."""
    if not found & {None, "train"}:
        raise PipelineError(
            f"the source has images of {' and '.join(sorted(map(str, found)))}, and none of train; accepted: both, or "
            "no splits; `--inside FOLDER` reads one folder, whose own name does not count"
        )
    shares = {"test": options.test_share, "val": options.val_share}
    for split, share in shares.items():
        if split in found and share is not None:
            raise PipelineError(f"--{split}-share {share} has no effect: the source has {split}; leave it out")
    return {split: SHARE if share is None else share for split, share in shares.items() if split not in found}


def _check_counts(source: Path, found: Understood) -> None:
    """Raise PipelineError if a split lacks a class, if nothing of test is new, and if these are FER-2013's counts."""
    counts = found.counts()
    for label, numbers in counts.items():
        if 0 in numbers:
            split = SPLITS[numbers.index(0)]
            raise PipelineError(
                f"{source} has no images of {label} in {split}; accepted: some of each class in each split (without "
                "folders of splits, the images are divided)"
            )
    train = {i.digest for i, split in zip(found.images, found.splits, strict=True) if split == "train"}
    if all(i.digest in train for i, split in zip(found.images, found.splits, strict=True) if split == "test"):
        raise PipelineError(
            f"{source} has only images in test that are in train too; accepted: a test split of its own"
        )
    _check_not_fer2013(source, counts)


def _check_not_fer2013(source: Path, counts: dict[str, list[int]]) -> None:
    if counts == yaml.safe_load((paths.CONF / "data" / "fer2013.yaml").read_text("utf-8"))["counts"]:
        raise PipelineError(
            f"{source} is FER-2013 itself, or has its counts: `python -m pipeline.use data=fer2013` and "
            f"`FER2013_ARCHIVE={source} dvc repro` read it as it is"
        )
