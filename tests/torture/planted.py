"""Secrets that are planted, and the search for them in everything that was written."""

import base64
import gzip
import io
import secrets
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import h5py


def new() -> str:
    """Return a secret that stands nowhere else."""
    return f"planted{secrets.token_hex(12)}"


def traces(secret: str) -> list[bytes]:
    """Return what shows `secret`: itself, as numpy keeps texts too, and its part of a base64 text, at each offset."""
    shifted = [base64.b64encode(b"\0" * n + secret.encode()) for n in range(3)]
    # The first and the last group of four letters hold parts of the neighbours.
    return [*(secret.encode(form) for form in ("utf-8", "utf-16-le", "utf-32-le")), *(text[4:-4] for text in shifted)]


def found(folder: Path, planted: dict[str, str]) -> dict[str, list[str]]:
    """Return for each secret (by name) the files below `folder` that show it, in whatever they are packed."""
    shown: dict[str, list[str]] = {name: [] for name in planted}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        for content in unpacked(path.read_bytes(), path):
            for name in in_text(content, planted):
                shown[name].append(path.relative_to(folder).as_posix())
    return {name: list(dict.fromkeys(files)) for name, files in shown.items()}


def in_text(content: bytes, planted: dict[str, str]) -> list[str]:
    """Return the names of the secrets that `content` shows."""
    return [name for name, secret in planted.items() if any(trace in content for trace in traces(secret))]


def unpacked(content: bytes, path: Path | None = None) -> Iterator[bytes]:
    """Yield `content`, and what is in it where it is a zip (or .npz), gzip or HDF5 file, or, at `path`, SQLite's."""
    yield content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                yield from unpacked(packed.read(name))
    elif content.startswith(b"\x1f\x8b"):
        yield from unpacked(gzip.decompress(content))
    elif content.startswith(b"\x89HDF\r\n\x1a\n"):
        yield from _in_hdf5(content)
    elif content.startswith(b"SQLite format 3\0") and path:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield "\n".join(database.iterdump()).encode()


def _in_hdf5(content: bytes) -> Iterator[bytes]:
    with h5py.File(io.BytesIO(content)) as file:
        items = [file]
        file.visititems(lambda _, item: items.append(item))
        for item in items:
            yield from (str(value).encode() for value in item.attrs.values())
            if isinstance(item, h5py.Dataset):
                yield item[()].tobytes() if item.shape else str(item[()]).encode()
