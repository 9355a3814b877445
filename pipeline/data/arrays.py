"""The decoded data set on disk: what preprocess writes, and train and evaluate read as memory maps.

A folder holds, for each split, `<split>.npy` ((n, 48, 48) uint8 pixels) and `<split>_labels.npy` ((n,) uint8
indices into EMOTIONS); `test_clean.npy` ((n,) bool, the test images that stand in no training image, pixel
for pixel); and `data.json` (name, digest, that of test_clean, and the settings that they were made with).
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.core.schema import EMOTIONS, SPLITS, Data

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
    """Return the images of `split` whose emotion is one of `classes`; labels are indices into `classes`.

    Raises PipelineError where the folder does not hold a whole data set, and where no data set has one of `classes`.
    """
    if unknown := [name for name in classes if name not in EMOTIONS]:
        raise PipelineError(f"{folder} has no emotion {unknown[0]!r}; accepted: {', '.join(EMOTIONS)}")
    try:
        pixels = np.load(folder / f"{split}.npy", mmap_mode="r")
        labels = np.load(folder / f"{split}_labels.npy")
    except (OSError, ValueError) as error:
        raise PipelineError(f"{folder} holds no readable arrays: {error}; {_ways(folder)}") from error
    place = np.full(len(EMOTIONS), -1)
    place[[EMOTIONS.index(c) for c in classes]] = np.arange(len(classes))
    chosen = place[labels]
    rows = np.flatnonzero(chosen >= 0)
    return Split(pixels, rows, chosen[rows])


def clean_test(folder: Path, split: Split) -> np.ndarray:
    """Return (n,) bool: the images of the test split that stand in no training image."""
    return np.load(folder / CLEAN)[split.rows]


def identity(folder: Path) -> dict[str, str]:
    """Return the name and the digest of the data set in `folder`; raise PipelineError where it holds none."""
    described = _described(folder)
    return {key: described[key] for key in ("name", "digest")}


def verified(folder: Path) -> dict[str, str]:
    """Return the name and the digest of the data set in `folder`, every byte of which is read for that.

    Raises PipelineError where a bit is another one than when the arrays were written.
    """
    described = _described(folder)
    try:
        intact = (described["digest"], described["clean"]) == (digest(folder), _digest(folder, [CLEAN]))
    except OSError as error:
        raise PipelineError(f"{folder} holds no whole data set: {error}; {_REMEDY}") from error
    if not intact:
        raise PipelineError(f"{folder} is damaged: it holds other bytes than were written; {_REMEDY}")
    return {key: described[key] for key in ("name", "digest")}


def describe(folder: Path, data: Data) -> None:
    """Write data.json: what the arrays in `folder`, made of `data`, are to be known by."""
    clean = _digest(folder, [CLEAN])
    described = {"name": data.name, "digest": digest(folder), "clean": clean, "settings": settings(data)}
    files.write_sealed(folder / "data.json", described)


def settings(data: Data) -> dict[str, Any]:
    """Return what of a configuration decides which images the arrays hold."""
    return data.model_dump(include={"counts", "draw_seed"})


def check(folder: Path, data: Data) -> None:
    """Raise PipelineError where the arrays in `folder` were made with other settings than those of `data`."""
    have, want = _described(folder).get("settings", {}), settings(data)
    if other := [key for key in want if have.get(key) != want[key]]:
        raise PipelineError(
            f"{folder} was made with another data.{other[0]}: {have.get(other[0])}, not {want[other[0]]}; "
            f"edit conf/data/{data.name}.yaml, and `dvc repro preprocess` makes it anew"
        )


def _described(folder: Path) -> dict[str, Any]:
    try:
        described = files.read_json(folder / "data.json")
    except (OSError, PipelineError) as error:
        raise PipelineError(f"{folder} holds no data set: {error}; {_ways(folder)}") from error
    if missing := {"name", "digest", "clean", "settings"} - set(described):
        raise PipelineError(f"{folder}/data.json lacks {min(missing)}; {_ways(folder)}")
    return described


def _ways(folder: Path) -> str:
    """Return how to make the data set in `folder`, whose name is that of the data set."""
    commands = " and ".join(f"`python -m pipeline.{stage} data={folder.name}`" for stage in ("download", "preprocess"))
    return f"`dvc repro preprocess` makes it where params.yaml chooses it, {commands} wherever"


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


_REMEDY = "`dvc repro --force --single-item preprocess` makes it anew, and `make verify` looks into DVC's cache"
