"""Small archives of FER-2013 for the tests, made by hand."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.constants import CODES

COUNTS = {"angry": [2, 1, 1], "happy": [1, 1, 1]}
NAMES = (
    "train/angry/Training_12.jpg",
    "train/angry/Training_3.jpg",
    "train/happy/Training_12.jpg",
    "test/angry/PublicTest_5.jpg",
    "test/angry/PrivateTest_1.jpg",
    "test/happy/PublicTest_2.jpg",
    "test/happy/PrivateTest_4.jpg",
)
"""Files that agree with COUNTS."""


def pixels(seed: int) -> np.ndarray:
    """Return a (48, 48) uint8 image."""
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def image(array: np.ndarray | None = None, kind: str = "JPEG", **options: object) -> bytes:
    """Return `array`, or some image, as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(pixels(0) if array is None else array).save(file, kind, **options)
    return file.getvalue()


def images(names: Iterable[str] = NAMES) -> dict[str, bytes]:
    """Return a different image for each of `names`."""
    return {n: image(pixels(i), n[-3:].upper().replace("JPG", "JPEG")) for i, n in enumerate(names)}


def write_zip(path: Path, members: dict[str, bytes], deflate: bool = False) -> Path:
    """Write a zip of `members`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_folder(folder: Path, members: dict[str, bytes]) -> Path:
    """Write `members` as files below `folder`."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def row(emotion: str = "angry", usage: str = "Training", seed: int = 0) -> str:
    """Return a row of fer2013.csv."""
    return f"{CODES.index(emotion)},{' '.join(map(str, pixels(seed).ravel()))},{usage}"


def table(rows: Iterable[str] | None = None) -> bytes:
    """Return fer2013.csv with `rows`, or with those that agree with COUNTS."""
    if rows is None:
        usages = ("Training", "PublicTest", "PrivateTest")
        rows = [row(e, u) for e, n in COUNTS.items() for u, k in zip(usages, n, strict=True) for _ in range(k)]
    return "\n".join(["emotion,pixels,Usage", *rows, ""]).encode()


def tar_gz(*members: tuple[tarfile.TarInfo | str, bytes]) -> bytes:
    """Return a tar.gz of `members`: each a name or a header, and its content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for header, content in members:
            info = tarfile.TarInfo(header) if isinstance(header, str) else header
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(file.getvalue(), 1)


def rename(path: Path, old: str, new: str) -> Path:
    """Change the name of a member in the bytes of a zip: what zipfile itself would not write."""
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    return path
