"""The files that hold FER-2013 (zip, tar.gz, CSV), read without trust and without extraction to disk.

What they may hold at most is meant for FER-2013's number of images; with `times` as many, for so many times that.
"""

import gzip
import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from pipeline.core.constants import EMOTIONS, SPLITS
from pipeline.core.errors import PipelineError
from pipeline.data import zips
from pipeline.data.layouts import TABLE, Face, decode, parse_name, parse_table

ACCEPTED = "accepted: Kaggle's zip of train/ and test/, or fer2013.csv, plain, in a .zip or in a .tar.gz"
MAX_IMAGE = 64 * 1024
MAX_TABLE = 600 * 2**20
"""Bytes in fer2013.csv, of which the challenge's has 301 million."""
MAX_MEMBERS = 200_000
MAX_INDEX = 2**24
"""Bytes of a zip's index: much longer records would be read for hours. That of Kaggle's has 3 million."""
MAX_EXTRA = 2**20
"""Bytes a tar may hold, other members among them, before its table and after it."""

_IMAGE = np.dtype([("split", "u1"), ("number", "u8"), ("emotion", "u1"), ("member", "u4")])
"""An image of a zip, in 14 bytes; its split and emotion are places in SPLITS and EMOTIONS."""

_FOLDERS = re.compile(r"(?:([^/]+)/)??((?:train|test)/.+)", re.DOTALL)
_EXTRA = re.compile(r"(?:.*/)?(?:\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|README[^/]*)|__MACOSX/.*")


def read_csv(path: Path, times: int) -> Iterator[Face]:
    """Yield the faces of a plain fer2013.csv."""
    with path.open("rb") as file:
        yield from parse_table(_Bounded(file, times * MAX_TABLE).buffered())


def read_zip(path: Path, times: int) -> Iterator[Face]:
    """Yield the faces of a zip: of its images below train/ and test/, or else of its fer2013.csv."""
    with path.open("rb") as file:
        archive = zips.Reader(file, times * MAX_INDEX)
        if len(archive) > times * MAX_MEMBERS:
            raise PipelineError(f"holds more than {times * MAX_MEMBERS:,} members, the most that is accepted")
        images, tables = _sorted_out(archive)
        if len(images):
            yield from _read_images(archive, images)
            return
        if len(tables) != 1:
            raise PipelineError(f"holds no image in train/ or test/, and {len(tables)} {TABLE}; {ACCEPTED}")
        with archive.open(tables[0]) as table:
            yield from parse_table(_Bounded(table, times * MAX_TABLE).buffered())


def read_tar(path: Path, times: int) -> Iterator[Face]:
    """Yield the faces of the one fer2013.csv in a tar.gz."""
    names: set[str] = set()
    tables = 0
    with gzip.open(path) as unpacked:
        stream = _Bounded(unpacked, MAX_EXTRA)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.name == "." and member.isdir():
                    continue
                _check(_safe(member.name.removeprefix("./")), names)
                if member.issparse() or member.type not in (
                    tarfile.REGTYPE,
                    tarfile.AREGTYPE,
                    tarfile.DIRTYPE,
                ):
                    raise PipelineError(f"{member.name!r} is a link or a device; accepted: plain files")
                if _is_table(member.name) and not member.isdir():
                    tables += 1
                    if tables > 1:
                        break
                    stream.left = times * MAX_TABLE
                    yield from parse_table(io.BufferedReader(archive.extractfile(member)))
                    stream.left = MAX_EXTRA
        while stream.read(MAX_IMAGE):  # as far as the checksum at the end
            pass
    if tables != 1:
        raise PipelineError(f"holds {tables} {TABLE}; {ACCEPTED}")


def _is_table(name: str) -> bool:
    return name.rpartition("/")[2] == TABLE


def _safe(name: str) -> str:
    """Return the member name `name`; refuses one that would leave the folder it is extracted to."""
    parts = name.removesuffix("/").split("/")
    if "\\" in name or "\0" in name or ":" in parts[0] or not {"", ".", ".."}.isdisjoint(parts):
        raise PipelineError(f"unsafe member name {name[:200]!r}; accepted: relative names with / and without ..")
    return name


def _check(name: str, names: set[str]) -> None:
    """Add the member `name` of a tar to the `names` seen before, of which there may be MAX_MEMBERS."""
    if name in names:
        raise PipelineError(f"holds {name!r} twice; accepted: every member once")
    if len(names) >= MAX_MEMBERS:
        raise PipelineError(f"holds more than {MAX_MEMBERS:,} members, the most that is accepted")
    names.add(name)


def _members(archive: zips.Reader) -> Iterator[tuple[int, str]]:
    """Yield number and name of the files of a zip without harmless extras; refuses what only an attack needs."""
    for number, member in enumerate(archive):
        name = _safe(member.orig_filename)
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise PipelineError(f"{name!r} is a link or a device; accepted: plain files")
        if member.flag_bits & 0x1:
            raise PipelineError(f"{name!r} is encrypted; accepted: a zip without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PipelineError(f"{name!r} has compression {member.compress_type}; accepted: none or deflate")
        if not member.is_dir() and not _EXTRA.fullmatch(name):
            yield number, name


def _sorted_out(archive: zips.Reader) -> tuple[np.ndarray, list[int]]:
    """Return the images below train/ and test/, each an _IMAGE, sorted, and the tables by their numbers."""
    tables: list[int] = []
    tops: set[str] = set()

    def images() -> Iterator[tuple[int, int, int, int]]:
        for member, name in _members(archive):
            if match := _FOLDERS.fullmatch(name):
                tops.add(match[1] or "")
                if len(tops) > 1:
                    raise PipelineError(
                        f"train/ and test/ stand below {sorted(tops)}; accepted: below one folder, or none"
                    )
                split, emotion, number = parse_name(match[2])
                yield SPLITS.index(split), number, EMOTIONS.index(emotion), member
            elif _is_table(name):
                tables.append(member)

    found = np.fromiter(images(), _IMAGE)
    found = found[np.lexsort([found[key] for key in ("emotion", "number", "split")])]  # by the last of them first
    known = found[["split", "number", "emotion"]]
    if (same := known[1:] == known[:-1]).any():
        _refuse_twice(archive, found[same.argmax() :][:2])
    return found, tables


def _refuse_twice(archive: zips.Reader, images: np.ndarray) -> NoReturn:
    """Say that these two images are the same one."""
    one, other = (archive.member(number).filename for number in images["member"].tolist())
    if one == other:
        raise PipelineError(f"holds {one!r} twice; accepted: every member once")
    split, number, emotion, _ = images[0].item()
    raise PipelineError(
        f"{one!r} and {other!r} are both {SPLITS[split]} {EMOTIONS[emotion]} {number}; "
        "accepted: every number once in its folder"
    )


def _read_images(archive: zips.Reader, images: np.ndarray) -> Iterator[Face]:
    """Yield the faces of `images`."""
    for image in images:
        split, number, emotion, member = image.item()
        with archive.open(member) as file:
            encoded = file.read(MAX_IMAGE + 1)
        if len(encoded) > MAX_IMAGE:
            raise PipelineError(f"{file.name!r} is too large; accepted: images of {MAX_IMAGE:,} bytes")
        yield Face(SPLITS[split], EMOTIONS[emotion], number, decode(file.name, encoded))


class _Bounded(io.RawIOBase):
    """Reads `file`, and raises PipelineError after `left` bytes: the size in a header is not trusted."""

    def __init__(self, file: BinaryIO, left: int):
        self.file = file
        self.left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self.file.read(len(buffer))
        self.left -= len(chunk)
        if self.left < 0:
            raise PipelineError("unpacks to more bytes than FER-2013 has: a decompression bomb, or other data")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def buffered(self) -> BinaryIO:
        """Return these reads with a buffer, for reading lines."""
        return io.BufferedReader(self, MAX_IMAGE)
