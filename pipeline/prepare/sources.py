"""The files of a folder, a zip, a tar or a tar.gz, none of which is trusted or extracted to disk."""

import gzip
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from pipeline.core.errors import PipelineError
from pipeline.data.containers import MAX_INDEX, MAX_MEMBERS, Bounded, ZipBytes, safe_name, zip_members

ACCEPTED = "accepted: a folder, a .zip, .tar or .tar.gz of images, or a .csv table"
LARGER = 5
"""How many times the members of FER-2013's limits an archive may have."""
MAX_FILE = 64 * 2**20
"""Bytes of the largest image file."""
MAX_RATIO = 100
"""How many times its own size a tar.gz may unpack to; and from the start UNPACKED bytes."""
UNPACKED = 2**30
_HIDDEN = re.compile(r"(?:.*/)?(?:\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(?:/.*)?", re.IGNORECASE | re.DOTALL)


class Entry(NamedTuple):
    """A file: its name with /, and how to open it, until the next one is asked for."""

    name: str
    open: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """Return the content; raise PipelineError if it is larger than MAX_FILE."""
        with self.open() as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise PipelineError(f"{self.name} has over {MAX_FILE:,} bytes; accepted: smaller files")
        return content


def entries(path: Path, inside: str = "") -> Iterator[Entry]:
    """Yield the files of `path` below the folder `inside`, by their names there; hidden files are left out.

    Raises PipelineError on what is hostile, and the errors of the archives' readers on what is damaged.
    """
    prefix = f"{inside.strip('/')}/" if inside.strip("/") else ""
    for entry in _reader(path)(path):
        if _HIDDEN.fullmatch(entry.name) or not entry.name.startswith(prefix):
            continue
        if not entry.name.isprintable():
            raise PipelineError(f"{entry.name!a} is no name that can be printed; accepted: text in UTF-8, in one line")
        yield entry._replace(name=entry.name.removeprefix(prefix))


def empty_folders(path: Path) -> list[str]:
    """Return the names of the folders below `path` that hold nothing; none if it is a file."""
    empty = [Path(at).relative_to(path).as_posix() for at, folders, files in os.walk(path) if not folders and not files]
    return sorted(name for name in empty if not _HIDDEN.fullmatch(name))


def is_table(path: Path) -> bool:
    """Return whether `path` is a single file that is no archive: a table, by its name."""
    return path.is_file() and not zipfile.is_zipfile(path) and bool(re.search(r"\.(csv|csv\.gz)$", path.name.lower()))


def _reader(path: Path) -> Callable[[Path], Iterator[Entry]]:
    if path.is_dir():
        return _folder
    if is_table(path):
        return _table
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return _tar
    raise PipelineError(f"this is {'no archive' if head else 'an empty file'}; {ACCEPTED}")


def _folder(path: Path) -> Iterator[Entry]:
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted([*files, *(name for name in folders if (Path(folder) / name).is_symlink())]):
            found = Path(folder) / name
            relative = found.relative_to(path).as_posix()
            if not stat.S_ISREG(found.lstat().st_mode) and not _HIDDEN.fullmatch(relative):
                raise PipelineError(f"{relative!r} is a link or a device; accepted: plain files")
            yield Entry(relative, lambda found=found: found.open("rb"))  # type: ignore[misc]


def _table(path: Path) -> Iterator[Entry]:
    yield Entry(path.name, lambda: cast(IO[bytes], gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")))


def _zip(path: Path) -> Iterator[Entry]:
    with ZipBytes(path, LARGER * MAX_INDEX) as file, zipfile.ZipFile(file) as archive:
        for member in zip_members(archive, LARGER * MAX_MEMBERS):
            yield Entry(member.filename, lambda member=member: archive.open(member))  # type: ignore[misc]


def _tar(path: Path) -> Iterator[Entry]:
    """Yield the members in their order: the archive is read as a stream."""
    left = UNPACKED + MAX_RATIO * path.stat().st_size
    with _unpacked(path) as unpacked:
        stream: Any = Bounded(unpacked, left, "an archive of images does")
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, member in enumerate(archive):
                if number > LARGER * MAX_MEMBERS:
                    raise PipelineError(f"holds more than {LARGER * MAX_MEMBERS:,} members; {ACCEPTED}")
                if member.isdir():
                    continue
                name = safe_name(member.name.removeprefix("./"))
                if member.issparse() or not member.isreg():
                    raise PipelineError(f"{name!r} is a link or a device; accepted: plain files")
                yield Entry(name, lambda member=member: cast(IO[bytes], archive.extractfile(member)))  # type: ignore[misc]


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        opened: Any = gzip.GzipFile(fileobj=file) if packed else nullcontext(file)
        with opened as unpacked:
            yield unpacked
