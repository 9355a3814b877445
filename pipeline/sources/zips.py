"""Zips of any number of members, in constant memory.

zipfile holds the whole index of a zip, some 600 bytes a member. It reads and writes every member here too, but sees
one at a time: a zip that ends after that member's record of the index. What this module knows of the format (PKWARE's
APPNOTE.TXT, sections 4.3.12 to 4.3.16) is where the index lies, where its records end, and how a zip ends.
"""

import contextlib
import io
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from pipeline.core.errors import PipelineError

MAX_BYTES = 2**32 - 1
"""Bytes before a member: records without an extension of zip64 state its place in 32 bits."""

_RECORD = struct.Struct("<4s24x3H12x")
_PLACE = struct.Struct("<L")
_PLACE_AT = 42
_END64, _LOCATOR, _END = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL"), struct.Struct("<4s4H2LH")
_RECORD_MARK, _END64_MARK, _LOCATOR_MARK, _END_MARK = b"PK\1\2", b"PK\6\6", b"PK\6\7", b"PK\5\6"
_MAX_COMMENT = 2**16 - 1


class Reader:
    """The members of a zip, each known by the place of its record in the file; raises zipfile.BadZipFile on damage."""

    def __init__(self, file: BinaryIO):
        """Read the zip `file`, which can be sought."""
        self.file = file
        self.start, self.end, self.before = _index(file)

    def __iter__(self) -> Iterator[tuple[int, zipfile.ZipInfo]]:
        """Yield the place and the record of each member."""
        place = self.start
        while place < self.end:
            yield place, self.member(place)
            place = self._after(place)

    def member(self, place: int) -> zipfile.ZipInfo:
        """Return the record at `place`."""
        with self._shown(place) as archive:
            return archive.infolist()[0]

    def open(self, place: int) -> BinaryIO:
        """Return the content of the member at `place`, to be read; its name is `name`, its checksum is verified."""
        with self._shown(place) as archive:
            return archive.open(archive.infolist()[0])

    def _shown(self, place: int) -> zipfile.ZipFile:
        return zipfile.ZipFile(_OneMember(self.file, place, self._after(place), self.before))

    def _after(self, place: int) -> int:
        """Return the place of the record after that at `place`."""
        self.file.seek(place)
        head = self.file.read(_RECORD.size)
        if len(head) == _RECORD.size and head.startswith(_RECORD_MARK):
            after = place + len(head) + sum(_RECORD.unpack(head)[1:])
            if after <= self.end:
                return after
        raise zipfile.BadZipFile("no index of members where it should be")


class Writer:
    """Writes a zip, member by member; the same members give the same bytes."""

    def __init__(self, file: BinaryIO, index: BinaryIO):
        """Write to `file`, which is empty, and keep the index in `index` until `close`."""
        self.file, self.index, self.members = file, index, 0

    def add(self, member: zipfile.ZipInfo, content: bytes) -> None:
        """Add the member `member`; raises PipelineError where those before it have more than MAX_BYTES."""
        alone = io.BytesIO()
        with zipfile.ZipFile(alone, "w") as archive:
            archive.writestr(member, content)
        whole = alone.getvalue()
        start, end, _ = _index(alone)
        record = bytearray(whole[start:end])
        if (place := self.file.tell()) > MAX_BYTES:
            raise PipelineError(f"the images are too many for a zip; accepted: {MAX_BYTES:,} bytes")
        _PLACE.pack_into(record, _PLACE_AT, place)
        self.file.write(whole[:start])
        self.index.write(record)
        self.members += 1

    def close(self) -> None:
        """Write the index; without it the zip is none."""
        start, length = self.file.tell(), self.index.tell()
        self.index.seek(0)
        shutil.copyfileobj(self.index, self.file)
        self.file.write(_ending(self.members, start, length, 0))


@contextlib.contextmanager
def written(path: Path) -> Iterator[Writer]:
    """Give a writer of the zip `path`, and close it where no error was raised."""
    with path.open("wb") as file, TemporaryFile(dir=path.parent) as index:
        writer = Writer(file, index)
        yield writer
        writer.close()


class _OneMember(io.RawIOBase):
    """`file` as far as `end`, as if its index had one record, from `start` to `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int, before: int):
        self.file, self.end = file, end
        self.ending = _ending(1, start, end - start, before)
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
        left = max(0, self.end + len(self.ending) - self.place)
        size = left if size is None or size < 0 else min(size, left)
        self.file.seek(self.place)
        content = self.file.read(max(0, min(size, self.end - self.place)))
        if len(content) < size:
            ending = self.place + len(content) - self.end
            content += self.ending[ending : ending + size - len(content)]
        self.place += len(content)
        return content


def _index(file: BinaryIO) -> tuple[int, int, int]:
    """Return where the index of a zip begins and ends, and how many bytes stand before the zip."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END.size - _MAX_COMMENT))
    last = file.read()
    found = last.rfind(_END_MARK)
    if found < 0 or len(last) - found < _END.size:
        raise zipfile.BadZipFile("no end of a zip")
    length, offset = _END.unpack_from(last, found)[5:7]
    end = size - len(last) + found
    if end >= _END64.size + _LOCATOR.size:
        file.seek(end - _END64.size - _LOCATOR.size)
        wide, locator = file.read(_END64.size), file.read(_LOCATOR.size)
        if wide.startswith(_END64_MARK) and locator.startswith(_LOCATOR_MARK):
            length, offset = _END64.unpack(wide)[8:]
            end -= len(wide) + len(locator)
    if (start := end - length) < 0:
        raise zipfile.BadZipFile("an index larger than the file")
    return start, end, start - offset


def _ending(members: int, start: int, length: int, before: int) -> bytes:
    """Return zip64's end of an index, and the one for older readers; `before` the zip stand so many bytes."""
    wide = _END64.pack(_END64_MARK, _END64.size - 12, 45, 45, 0, 0, members, members, length, start - before)
    locator = _LOCATOR.pack(_LOCATOR_MARK, 0, start + length - before, 1)
    most16, most32 = 2**16 - 1, 2**32 - 1
    return wide + locator + _END.pack(_END_MARK, 0, 0, most16, most16, most32, most32, 0)
