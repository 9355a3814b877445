"""Reads, checks and writes archives of FER-2013."""

import gzip
import hashlib
import math
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from pipeline.core.constants import EMOTIONS, SPLITS
from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.data.containers import ACCEPTED, MAX_IMAGE, read_csv, read_tar, read_zip
from pipeline.data.layouts import Face

_TABLES = {".tar.gz": read_tar, ".tar": read_tar, ".csv": read_csv}
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, ValueError, OverflowError),  # zipfile's, on headers that make no sense
)

FER2013 = 35_887
"""Images in FER-2013."""


def read(
    path: Path, label: str | None = None, images: int = FER2013, classes: Collection[str] = EMOTIONS
) -> Iterator[Face]:
    """Yield the faces of the archive `path`, one at a time; its folders must be named by `classes`.

    A zip of images gives them sorted by split (train, val, test), number and emotion, fer2013.csv in the order of its
    rows. Every image and table is read to its end, and its checksum is verified. The limits on what an archive may
    hold grow with the number of `images` that are expected. Raises PipelineError, which names the archive `label` (or
    its path), on anything that is damaged, hostile or not FER-2013.
    """
    with damage_named(label or str(path)):
        kind, times = suffix(path), max(1, math.ceil(images / FER2013))
        yield from read_zip(path, times, classes) if kind == ".zip" else _TABLES[kind](path, times)


@contextmanager
def damage_named(label: str, accepted: str = ACCEPTED) -> Iterator[None]:
    """Raise what a reader of archives raises as a PipelineError, which names the archive `label`."""
    try:
        yield
    except PipelineError as error:
        raise PipelineError(f"{label}: {error}") from error
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise PipelineError(f"{label}: damaged or cut short ({reason}); {accepted}") from error
    except OSError as error:
        raise PipelineError(f"{label}: cannot be read ({error.strerror or error})") from error


def suffix(path: Path) -> str:
    """Return .zip, .tar.gz, .tar or .csv, as the content of `path` says; raises PipelineError if it is none of them."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return ".zip"
    if head.startswith(b"\x1f\x8b"):
        return ".tar.gz"
    if head[257:262] == b"ustar":
        return ".tar"
    text = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip()  # in UTF-16 every second byte is 0
    if re.search(rb"emotion|pixels|Image name", text.partition(b"\n")[0]) and not text.startswith(b"<"):
        return ".csv"
    kind = "an empty file" if not head else "a web page" if text.startswith(b"<") else "no archive"
    raise PipelineError(f"this is {kind}; {ACCEPTED}")


def check_digest(path: Path, expected: str | None, label: str) -> None:
    """Raise PipelineError, which names the file `label`, if `path` has another SHA-256 than `expected`; None is any."""
    if expected is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise PipelineError(f"{label} is another file than data.sha256 names: {found[:12]}, not {expected[:12]}")


def verify(path: Path, counts: dict[str, list[int]], label: str) -> None:
    """Read the whole archive `path`, and compare its images with `counts`: class -> train, val, test.

    Raises PipelineError, which names the archive `label`, if it cannot be read or holds other images.
    """
    found: Counter[tuple[str, str]] = Counter()
    images = sum(map(sum, counts.values()))
    with progress(f"checking {label}", images, "images") as advance:
        for face in read(path, label, images, dict.fromkeys((*EMOTIONS, *counts))):
            found[face.emotion, face.split] += 1
            advance(1)
    names = sorted({*counts, *(name for name, _ in found)})
    expected = {(e, s): n for e in names for s, n in zip(SPLITS, counts.get(e, (0, 0, 0)), strict=True)}
    wrong = [f"{e} {s} {found[e, s]:,}/{n:,}" for (e, s), n in expected.items() if found[e, s] != n]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise PipelineError(
            f"{label}: other images than data.counts says; found/expected: {', '.join(wrong[:5])}{more}"
        )


def pack(folder: Path, target: Path) -> None:
    """Write the images of `folder`, in Kaggle's layout, into a zip; the same images give the same bytes.

    Raises PipelineError on a link, on what is no image file, and if train/ or test/ is missing.
    """
    names = sorted(name for part in ("train", "test") for name in _files(folder, part))
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())  # dated 1980-01-01


def _files(folder: Path, part: str) -> Iterator[str]:
    """Yield the names of the files in folder/part, relative to `folder`."""
    if not (folder / part).is_dir():
        raise PipelineError(f"{folder} has no folder {part}; accepted: train/<emotion>/ and test/<emotion>/")
    for path in chain([folder / part], (folder / part).rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_IMAGE:
            yield path.relative_to(folder).as_posix()
        elif not stat.S_ISDIR(status.st_mode):
            kind = "too large" if stat.S_ISREG(status.st_mode) else "a link or a device"
            raise PipelineError(f"{path} is {kind}; accepted: image files of up to {MAX_IMAGE:,} bytes")
