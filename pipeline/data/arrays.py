"""The decoded dataset on disk: preprocess writes it, and train and evaluate read it as memory maps.

A folder holds, for each split, `<split>.npy` ((n, 48, 48) uint8 pixels) and `<split>_labels.npy` ((n,) uint8
indices into the dataset's classes, which are the keys of its counts in alphabetical order); `test_clean.npy`
((n,) bool, the test images that are not in train, pixel for pixel); and `data.json` (name, digest, the digest of
test_clean, and the settings the arrays were made with).
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.core import files
from pipeline.core.constants import SPLITS
from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.core.schema import Data

CLEAN = "test_clean.npy"


class Split(NamedTuple):
    """The images of one split: pixels (m, 48, 48) uint8 on disk, `rows` (n,) of it, labels (n,) into classes."""

    pixels: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def images(self, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the chosen images in memory, (n, 48, 48) uint8."""
        return np.asarray(self.pixels[self.rows[which]])


def load(folder: Path, split: str, classes: list[str]) -> Split:
    """Return the images of `split` of one of `classes`; labels are indices into `classes`.

    Raises PipelineError if the folder has no complete dataset, and if it has none of one of `classes`.
    """
    known = names(folder)
    if unknown := [name for name in classes if name not in known]:
        raise PipelineError(f"{folder} has no class {unknown[0]!r}; accepted: {', '.join(known)}")
    try:
        pixels = np.load(folder / f"{split}.npy", mmap_mode="r")
        labels = np.load(folder / f"{split}_labels.npy")
    except (OSError, ValueError) as error:
        raise PipelineError(f"{folder} has no readable arrays: {error}; {_ways(folder)}") from error
    place = np.full(len(known), -1)
    place[[known.index(c) for c in classes]] = np.arange(len(classes))
    chosen = place[labels]
    rows = np.flatnonzero(chosen >= 0)
    return Split(pixels, rows, chosen[rows])


def names(folder: Path) -> list[str]:
    """Return all classes of the dataset in `folder`, in the order of its labels."""
    try:
        return sorted(_described(folder)["settings"]["counts"])
    except (KeyError, TypeError) as error:
        raise PipelineError(f"{folder}/data.json names no classes; {_ways(folder)}") from error


def clean_test(folder: Path, split: Split) -> np.ndarray:
    """Return (n,) bool: the images of the test split that are not in train."""
    return np.load(folder / CLEAN)[split.rows]


def identity(folder: Path) -> dict[str, str]:
    """Return the name and the digest of the dataset in `folder`; raise PipelineError if there is none."""
    described = _described(folder)
    return {key: described[key] for key in ("name", "digest")}


def verified(folder: Path) -> dict[str, str]:
    """Return the name and the digest of the dataset in `folder`, after reading every byte of it.

    Raises PipelineError if a bit has changed since the arrays were written.
    """
    described = _described(folder)
    try:
        intact = (described["digest"], described["clean"]) == (digest(folder), _digest(folder, [CLEAN]))
    except OSError as error:
        raise PipelineError(f"{folder} has no complete dataset: {error}; {_REMEDY}") from error
    if not intact:
        raise PipelineError(f"{folder} is damaged: its content has changed since it was written; {_REMEDY}")
    return {key: described[key] for key in ("name", "digest")}


def describe(folder: Path, data: "Data") -> None:
    """Write data.json, which identifies the arrays in `folder`, made from `data`."""
    clean = _digest(folder, [CLEAN])
    described = {"name": data.name, "digest": digest(folder), "clean": clean, "settings": settings(data)}
    files.write_sealed(folder / "data.json", described)


def settings(data: "Data") -> dict[str, Any]:
    """Return the settings that decide which images the arrays have."""
    digest = {"sha256": data.sha256} if data.sha256 else {}
    return data.model_dump(include={"counts", "synthetic_seed"}) | digest


def check(folder: Path, data: "Data") -> None:
    """Raise PipelineError if the arrays in `folder` were made with other settings than those of `data`."""
    have, want = _described(folder).get("settings", {}), settings(data)
    if other := [key for key in want if have.get(key) != want[key]]:
        raise PipelineError(
            f"{folder} was made with a different data.{other[0]}: {have.get(other[0])}, not {want[other[0]]}; "
            f"edit conf/data/{data.name}.yaml, and run `dvc repro preprocess`"
        )


def _described(folder: Path) -> dict[str, Any]:
    try:
        described = files.read_json(folder / "data.json")
    except (OSError, PipelineError) as error:
        raise PipelineError(f"{folder} has no dataset: {error}; {_ways(folder)}") from error
    if missing := {"name", "digest", "clean", "settings"} - set(described):
        raise PipelineError(f"{folder}/data.json lacks {min(missing)}; {_ways(folder)}")
    return described


def _ways(folder: Path) -> str:
    """Return how to make the dataset in `folder`, which has its name."""
    commands = " and ".join(f"`python -m pipeline.{stage} data={folder.name}`" for stage in ("download", "preprocess"))
    return f"`dvc repro preprocess` makes it if params.yaml chooses it, {commands} in any case"


def digest(folder: Path) -> str:
    """Return the SHA-256, in hex, of every label and pixel in `folder`."""
    return _digest(folder, [name for split in SPLITS for name in (f"{split}_labels.npy", f"{split}.npy")])


def _digest(folder: Path, names: list[str]) -> str:
    whole = hashlib.sha256()
    for name in names:
        with open(folder / name, "rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()


_REMEDY = "`dvc repro --force --single-item preprocess` makes it again"
