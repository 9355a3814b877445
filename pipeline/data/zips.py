"""Zips of any number of members, in constant memory.

zipfile holds the whole index of a zip, some 600 bytes a member. It reads and writes every member here too, but sees
one or a few of them: a zip whose index has their records alone. What this module knows of the format (PKWARE's
APPNOTE.TXT, sections 4.3.12 to 4.3.16) is where the index lies, where its records end, and how a zip ends.
"""

import contextlib
import functools
import io
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from pipeline.core.errors import PipelineError

_RECORD_MARK, _END64_MARK, _LOCATOR_MARK, _END_MARK = b"PK\1\2", b"PK\6\6", b"PK\6\7", b"PK\5\6"
_RECORD, _END = struct.Struct("<4s24x3H12x"), struct.Struct("<4s4H2LH")
_END64, _LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
"""The end of a zip with more or larger members than _END can count, and what stands between the two."""
_MAX_COMMENT = 2**16 - 1
_RUN, _CACHED = 64, 32
"""Records that zipfile sees together, and runs of them that are kept: images that belong together lie together."""


class Reader:
    """The members of a zip, numbered from 0 as in its index; raises on damage what zipfile raises."""

    def __init__(self, file: BinaryIO, most: int):
        """Read the zip `file`, which can be sought; raises PipelineError where its index has more than `most` bytes."""
        self.file = file
        self.start, self.end, self.skipped = _index(file)
        if (size := self.end - self.start) > most:
            raise PipelineError(f"has an index of {size:,} bytes; accepted: at most {most:,}")
        self.runs: list[int] = []
        self.members = 0
        for place in _records(file, self.start, self.end):
            if self.members % _RUN == 0:
                self.runs.append(place)
            self.members += 1
        self.run = functools.lru_cache(_CACHED)(self._run)

    def __len__(self) -> int:
        """Return the number of members."""
        return self.members

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        """Yield the record of each member.

        Members that share their bytes, as a bomb's do, are refused once they have more than the file: zipfile, which
        compares each with its neighbour, would have to hold them all.
        """
        packed = 0
        for number in range(len(self)):
            member = self.member(number)
            packed += member.compress_size
            if packed > self.start:
                raise zipfile.BadZipFile("members that overlap")
            yield member

    def member(self, number: int) -> zipfile.ZipInfo:
        """Return the record of a member."""
        return self.run(number // _RUN).infolist()[number % _RUN]

    def open(self, number: int) -> BinaryIO:
        """Return the content of a member, to be read; its name is `name`, its checksum is verified."""
        return self.run(number // _RUN).open(self.member(number))

    def _run(self, run: int) -> zipfile.ZipFile:
        """Return the zip as if the members of this run were all."""
        start, end = [*self.runs[run : run + 2], self.end][:2]
        return zipfile.ZipFile(_Part(self.file, start, end, self.skipped))


class Writer:
    """Writes a zip, member by member; the same members give the same bytes."""

    def __init__(self, file: BinaryIO, index: BinaryIO):
        """Write to `file`, which is empty, and keep the index in `index` until `close`."""
        self.file, self.index, self.members = file, index, 0

    def add(self, member: zipfile.ZipInfo, content: bytes) -> None:
        """Add the member `member`."""
        alone = io.BytesIO()
        with zipfile.ZipFile(alone, "w") as archive:
            archive.writestr(member, content)
            member.header_offset = self.file.tell()  # what its record says when the archive is closed
        start, end, _ = _index(alone)
        self.file.write(alone.getbuffer()[:start])
        self.index.write(alone.getbuffer()[start:end])
        self.members += 1

    def close(self) -> None:
        """Write the index; without it the file is no zip."""
        start, length = self.file.tell(), self.index.tell()
        self.index.seek(0)
        shutil.copyfileobj(self.index, self.file)
        self.file.write(_ending(self.members, start, length))


@contextlib.contextmanager
def written(path: Path) -> Iterator[Writer]:
    """Give a writer of the zip `path`, and close it where no error was raised."""
    with path.open("wb") as file, TemporaryFile(dir=path.parent) as index:
        writer = Writer(file, index)
        yield writer
        writer.close()


class _Part(io.RawIOBase):
    """`file` without its first `skipped` bytes, and as if its index were what lies between `start` and `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int, skipped: int):
        self.file, self.skipped, self.end = file, skipped, end - skipped
        self.ending = _ending(1, start - skipped, end - start)  # zipfile goes by the length, not by the count
        self.place = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.end + len(self.ending)}[whence]
        if base + offset < 0:
            raise zipfile.BadZipFile("a member before the beginning of the file")
        self.place = base + offset
        return self.place

    def read(self, size: int | None = -1) -> bytes:
        left = self.end - self.place
        size = None if size is None or size < 0 else size
        if left > 0:
            self.file.seek(self.place + self.skipped)
            content = self.file.read(left if size is None else min(size, left))
        else:
            content = self.ending[-left:][:size]
        self.place += len(content)
        return content


def _index(file: BinaryIO) -> tuple[int, int, int]:
    """Return where the index of a zip begins and ends, and how many bytes stand before the zip, which count as none."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END.size - _MAX_COMMENT))
    last = file.read()
    found = len(last) - _END.size
    if found < 0 or not (last.startswith(_END_MARK, found) and last.endswith(b"\0\0")):  # a comment follows
        found = last.rfind(_END_MARK)
    if found < 0 or len(last) - found < _END.size:
        raise zipfile.BadZipFile("no end of a zip")
    length, offset = _END.unpack_from(last, found)[5:7]
    end = size - len(last) + found
    if end >= _END64.size + _LOCATOR.size:
        file.seek(end - _END64.size - _LOCATOR.size)
        end64, locator = file.read(_END64.size), file.read(_LOCATOR.size)
        if end64.startswith(_END64_MARK) and locator.startswith(_LOCATOR_MARK):
            _, disk, _, disks = _LOCATOR.unpack(locator)
            if disk or disks > 1:
                raise zipfile.BadZipFile("a part of a zip in several files")
            length, offset = _END64.unpack(end64)[8:]
            end -= len(end64) + len(locator)
    start = end - length
    if not 0 <= offset <= start:
        raise zipfile.BadZipFile("an index larger than the file, or not where it should be")
    return start, end, start - offset


def _records(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    """Yield where each record of the index between `start` and `end` begins."""
    while start < end:
        yield start
        file.seek(start)
        head = file.read(_RECORD.size)
        if len(head) < _RECORD.size or not head.startswith(_RECORD_MARK):
            raise zipfile.BadZipFile("no index of members where it should be")
        start += len(head) + sum(_RECORD.unpack(head)[1:])
    if start > end:
        raise zipfile.BadZipFile("an index cut short")


def _ending(members: int, start: int, length: int) -> bytes:
    """Return what stands after an index of `length` bytes from `start` on: the end of a zip of any size."""
    end64 = _END64.pack(_END64_MARK, _END64.size - 12, 45, 45, 0, 0, members, members, length, start)
    locator = _LOCATOR.pack(_LOCATOR_MARK, 0, start + length, 1)
    see_end64 = _END.pack(_END_MARK, 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    return end64 + locator + see_end64
