"""Reads the files that hold FER-2013 (zip, tar, gzip, CSV), which are not trusted and not extracted to disk.

The limits are for a dataset of FER-2013's size; a dataset `times` as large may have `times` as much.
"""

import contextlib
import gzip
import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, cast

from pipeline.core.constants import SPLITS
from pipeline.core.errors import PipelineError
from pipeline.data.layouts import TABLES, Face, decode, parse_name, parse_table, problem

ACCEPTED = (
    "accepted: Kaggle's zip of train/ and test/, or the challenge's fer2013.csv or icml_face_data.csv, plain or in a "
    ".zip, .tar or .tar.gz"
)
MAX_IMAGE = 64 * 1024
MAX_TABLE = 600 * 2**20
"""Bytes in fer2013.csv; the challenge's has 301 million."""
MAX_TABLES = 5
"""Tables in a tar, which are read to find the one of FER-2013."""
HEAD = 2**14
"""Bytes of a table that hold its first line."""
MAX_MEMBERS = 200_000
MAX_INDEX = 2**24
"""Bytes in the index of a zip, which zipfile reads as a whole; Kaggle's has 3 million."""
MAX_EXTRA = 2**20
"""Bytes in a tar before its table, and after it, including other members."""

_FOLDERS = re.compile(r"(?:([^/]+)/)??((?:train|test)/.+)", re.DOTALL)
_TAR = re.compile(r".*\.(?:tar|tar\.gz|tgz)", re.IGNORECASE | re.DOTALL)
_EXTRA = re.compile(r"(?:.*/)?(?:\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|README[^/]*)|__MACOSX/.*")


def read_csv(path: Path, times: int) -> Iterator[Face]:
    """Yield the faces of a plain fer2013.csv."""
    with path.open("rb") as file:
        yield from _read_table(file, times)


def read_zip(path: Path, times: int, classes: Collection[str]) -> Iterator[Face]:
    """Yield the faces of a zip: of its images in train/ and test/, or else of its fer2013.csv."""
    with ZipBytes(path, times * MAX_INDEX) as file, zipfile.ZipFile(file) as archive:
        images, tables = _find(archive, times * MAX_MEMBERS, classes)
        for image in sorted(images, key=lambda image: (SPLITS.index(image[0]), image[2], image[1])):
            name = images[image].filename
            with archive.open(images[image]) as member:
                encoded = member.read(MAX_IMAGE + 1)
            if len(encoded) > MAX_IMAGE:
                raise PipelineError(f"{name!r} is too large; accepted: images of {MAX_IMAGE:,} bytes")
            yield Face(*image, decode(name, encoded))
        if images:
            return
        tars = [member for member in tables if _TAR.fullmatch(member.filename)]
        examined = [(member, _problem(archive, member)) for member in tables if member not in tars]
        table = _choose(examined)
        if not (found := table or (tars[0] if len(tars) == 1 else None)):
            reasons = [(member.filename, reason) for member, reason in examined]
            raise PipelineError(
                f"holds no image in train/ or test/, and no table of FER-2013{_reasons(reasons)}; {ACCEPTED}"
            )
        with archive.open(found) as unpacked:
            yield from _read_table(unpacked, times) if table else _read_tar(unpacked, times)


def read_tar(path: Path, times: int) -> Iterator[Face]:
    """Yield the faces of the table in a tar or tar.gz, or of a table that is packed by gzip alone."""
    with path.open("rb") as file:
        yield from _read_tar(file, times)


def _read_tar(file: Any, times: int) -> Iterator[Face]:
    """Yield the faces of the table in the tar `file`, packed by gzip or not, or of a table that is packed by gzip."""
    packed = file.peek(2)[:2] == b"\x1f\x8b"
    opened: Any = gzip.GzipFile(fileobj=file) if packed else contextlib.nullcontext(file)
    with opened as unpacked:
        if unpacked.peek(262)[257:262] == b"ustar":
            yield from _read_tar_members(unpacked, times)
        else:
            yield from _read_table(unpacked, times)


def _read_tar_members(unpacked: IO[bytes], times: int) -> Iterator[Face]:
    stream = Bounded(unpacked, MAX_EXTRA)
    found: list[tuple[str, str | None]] = []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.name == "." and member.isdir():
                continue
            safe_name(member.name.removeprefix("./"))
            if member.issparse() or not (member.isreg() or member.isdir()):
                raise PipelineError(f"{member.name!r} is a link or a device; accepted: plain files")
            if member.isdir() or not member.name.lower().endswith(".csv"):
                continue
            if len(found) == MAX_TABLES:
                raise PipelineError(f"holds more than {MAX_TABLES} tables; {ACCEPTED}")
            stream.left = times * MAX_TABLE
            table = io.BufferedReader(Bounded(cast(IO[bytes], archive.extractfile(member)), times * MAX_TABLE), HEAD)
            found.append((member.name, problem(table.peek(HEAD))))
            if found[-1][1] is None:
                if len(usable := [name for name, reason in found if reason is None]) > 1:
                    raise PipelineError(f"holds {' and '.join(usable)}; {ACCEPTED}")
                yield from parse_table(table)
            stream.left = MAX_EXTRA
    while stream.read(MAX_IMAGE):  # as far as the checksum at the end
        pass
    if None not in [reason for _, reason in found]:
        raise PipelineError(f"holds no table of FER-2013{_reasons(found)}; {ACCEPTED}")


def _problem(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    with archive.open(member) as table:
        return problem(table.read(HEAD))


def _choose(tables: list[tuple[zipfile.ZipInfo, str | None]]) -> zipfile.ZipInfo | None:
    """Return the first of TABLES that is no problem, or else the one table that is none; None if there is none.

    Raises PipelineError if there are several.
    """
    usable = [member for member, reason in tables if reason is None]
    for name in TABLES:
        named = [member for member in usable if member.filename.rpartition("/")[2] == name]
        usable = named or usable
        if named:
            break
    if len(usable) > 1:
        raise PipelineError(f"holds {' and '.join(member.filename for member in usable[:5])}; {ACCEPTED}")
    return next(iter(usable), None)


def _reasons(found: list[tuple[str, str | None]]) -> str:
    return "".join(f"; {name} {reason}" for name, reason in found[:5] if reason)


def safe_name(name: str) -> str:
    """Return the member name `name`; refuses one that would leave the folder it is extracted to."""
    parts = name.removesuffix("/").split("/")
    if "\\" in name or "\0" in name or ":" in parts[0] or not {"", ".", ".."}.isdisjoint(parts):
        raise PipelineError(f"unsafe member name {name[:200]!r}; accepted: relative names with / and without ..")
    return name


_Images = dict[tuple[str, str, int], zipfile.ZipInfo]
"""Split, emotion and number of each image, with its record in the index."""


def _find(archive: zipfile.ZipFile, most: int, classes: Collection[str]) -> tuple[_Images, list[zipfile.ZipInfo]]:
    """Return the images in train/ and test/, and the tables and tars, which may hold a table."""
    images: _Images = {}
    tables: list[zipfile.ZipInfo] = []
    tops: set[str] = set()
    for member in zip_members(archive, most):
        if match := _FOLDERS.fullmatch(member.filename):
            tops.add(match[1] or "")
            if len(tops) > 1:
                raise PipelineError(f"train/ and test/ are in {sorted(tops)}; accepted: in one folder, or in none")
            image = parse_name(match[2], classes)
            if (other := images.setdefault(image, member)) is not member:
                raise PipelineError(
                    f"{other.filename!r} and {member.filename!r} are both {' '.join(map(str, image))}; "
                    "accepted: every number once in its folder"
                )
        elif member.filename.lower().endswith(".csv") or _TAR.fullmatch(member.filename):
            tables.append(member)
    return images, tables


def zip_members(archive: zipfile.ZipFile, most: int) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of a zip except harmless extras; refuses more than `most` members, and what only an attack needs.

    Members that share their bytes, as those of a bomb do, are refused here: zipfile checks this from Python 3.11.8 on.
    """
    if len(archive.infolist()) > most:
        raise PipelineError(f"holds more than {most:,} members, the most that is accepted")
    end = 0
    for member in sorted(archive.infolist(), key=attrgetter("header_offset")):
        name = member.filename = safe_name(
            member.orig_filename.replace("\\", "/")
        )  # Windows' zips may have backslashes
        if member.header_offset < end:
            raise zipfile.BadZipFile(f"{name!r} overlaps another member or the start of the file")
        end = member.header_offset + member.compress_size
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise PipelineError(f"{name!r} is a link or a device; accepted: plain files")
        if member.flag_bits & 0x1:
            raise PipelineError(f"{name!r} is encrypted; accepted: a zip without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PipelineError(f"{name!r} has compression {member.compress_type}; accepted: none or deflate")
        if not member.is_dir() and not _EXTRA.fullmatch(name):
            yield member


def _read_table(file: IO[bytes], times: int) -> Iterator[Face]:
    yield from parse_table(io.BufferedReader(Bounded(file, times * MAX_TABLE), MAX_IMAGE))


class ZipBytes(io.FileIO):
    """The file of a zip: raises PipelineError if zipfile, which reads the index at once, asks for over `most` bytes."""

    def __init__(self, path: Path, most: int):
        """Open the file `path`."""
        super().__init__(path)
        self.most = most

    def read(self, size: int | None = -1) -> bytes:
        """Return at most `size` bytes."""
        if size is not None and size > self.most:
            raise PipelineError(f"has an index of {size:,} bytes; accepted: at most {self.most:,}")
        return super().read(size)


class Bounded(io.RawIOBase):
    """Reads `file`, and raises PipelineError after `left` bytes: the size in a header is not trusted."""

    def __init__(self, file: IO[bytes], left: int, most: str = "FER-2013 has"):
        """Allow `left` bytes; `most` says in the error what has no more than them."""
        self.file = file
        self.left = left
        self.most = most

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, and return the number of bytes."""
        chunk = self.file.read(len(buffer))
        self.left -= len(chunk)
        if self.left < 0:
            raise PipelineError(f"unpacks to more bytes than {self.most}: a decompression bomb, or other data")
        buffer[: len(chunk)] = chunk
        return len(chunk)
