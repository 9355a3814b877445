"""Writes a dataset: its archive, the same bytes for the same images, and its option of conf/data/."""

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import yaml
from PIL import Image

from pipeline.core import files, paths
from pipeline.core.constants import IMAGE_SIZE, SPLITS
from pipeline.core.progress import progress
from pipeline.core.schema import Data
from pipeline.prepare.understanding import Understood

MEMBER = {"train": "train/{}/Training", "val": "test/{}/PublicTest", "test": "test/{}/PrivateTest"}
"""Kaggle's layout of FER-2013, which the stages read."""


def write(found: Understood, pixels: IO[bytes], name: str, comments: list[str]) -> Data:
    """Write the archive and then the option of the dataset `name`; return the option.

    `pixels` has the images of `found`, 48x48 bytes each. The option begins with `comments`. Each file is written whole
    or not at all.
    """
    target = paths.own(name)
    data = _data(name, found, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with files.path_in_errors(partial):
            _pack(found, pixels, partial)
            with partial.open("rb") as file:
                data = _data(name, found, hashlib.file_digest(file, "sha256").hexdigest())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    files.replace(option(name), _text(data, comments).encode())
    return data


def option(name: str) -> Path:
    """Return the file of the dataset `name` in conf/data/."""
    return paths.CONF / "data" / f"{name}.yaml"


def _data(name: str, found: Understood, digest: str | None) -> Data:
    counts = found.counts()
    archive = paths.own(name).relative_to(paths.HOME).as_posix()
    return Data(name=name, sources=["archive"], archive=archive, sha256=digest, classes=list(counts), counts=counts)


def _pack(found: Understood, pixels: IO[bytes], path: Path) -> None:
    """Write the images to the zip `path`, in an order that their pixels decide, as PNG files that are not compressed.

    Compressed, they would depend on the version of the compressing library.
    """
    pixels.flush()
    faces = np.memmap(pixels, np.uint8, "r", shape=(len(found.images), IMAGE_SIZE, IMAGE_SIZE))
    keys = [
        (SPLITS.index(split), image.digest, image.label, i)
        for i, (image, split) in enumerate(zip(found.images, found.splits, strict=True))
    ]
    with zipfile.ZipFile(path, "w") as archive, progress("writing", len(keys), "images") as advance:
        for number, (split, _, label, i) in enumerate(sorted(keys)):
            encoded = io.BytesIO()
            Image.fromarray(faces[i]).save(encoded, "PNG", compress_level=0)
            member = f"{MEMBER[SPLITS[split]].format(label)}_{number}.png"
            archive.writestr(zipfile.ZipInfo(member), encoded.getvalue())  # dated 1980-01-01
            advance(1)


def _text(data: Data, comments: list[str]) -> str:
    """Return the option as YAML, with `comments` above and the meaning of each key beside it."""
    lines = [f"# {comment}" for comment in comments]
    lines += [
        f"name: {data.name}",
        "sources: [archive]",
        f"archive: {data.archive}   # relative to the checkout, and not in git",
        "kaggle: null",
        f"sha256: {data.sha256}   # another file is refused",
        f"classes: [{', '.join(map(_key, data.classes))}]   # those to train on: two or more of the classes below",
        "counts:   # images in train, val and test",
        *(f"  {_key(label)}: {numbers}" for label, numbers in data.counts.items()),
        "synthetic_seed: null",
    ]
    return "\n".join(lines) + "\n"


def _key(label: str) -> str:
    """Return `label` in YAML: in quotes if it would not be a text, as `no` and `off`."""
    return label if yaml.safe_load(label) == label else f'"{label}"'
