"""Small files: written whole or not at all, and read with clear errors."""

import csv
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import numpy as np

_SEAL = "seal"


@contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Make an error of the file system name `path` if it names no file: the error of a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def replace(path: Path, content: bytes) -> None:
    """Replace the file `path` by `content`: a reader sees the old or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with path_in_errors(path), open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON; a number that JSON cannot express (NaN) is an error."""
    replace(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON with its SHA-256, by which `read_json` notices a later change."""
    write_json(path, {**content, _SEAL: _digest(content)})


def require_file(path: Path) -> Path:
    """Return `path`, an output of a stage; raise PipelineError if it is missing."""
    if not path.is_file():
        raise PipelineError(f"{path} is missing; `dvc repro` makes it")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the JSON file `path`.

    Raises PipelineError if there is none, or its content has changed; OSError if it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise PipelineError(f"{path} is damaged: it is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise PipelineError(f"{path} is damaged: it has {type(content).__name__}, not an object")
    seal = content.pop(_SEAL, None)
    if seal is not None and seal != _digest(content):
        raise PipelineError(f"{path} is damaged: its content has changed since it was written")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_npz(path: Path) -> "dict[str, np.ndarray]":
    """Return the arrays in the .npz file `path`, each with a checksum; nothing is unpickled.

    Raises PipelineError if it is damaged; OSError if it cannot be read.
    """
    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (
        *(ValueError, TypeError, AttributeError, KeyError, EOFError, OverflowError, MemoryError, RuntimeError),
        *(SyntaxError, struct.error, zlib.error, zipfile.BadZipFile),
    ) as error:
        raise PipelineError(f"{path} is damaged ({str(error) or type(error).__name__})") from error


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write `rows`, which all have the same keys, below a header."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    replace(path, text.getvalue().encode())


def read_csv(path: Path) -> list[dict[str, float]]:
    """Return the rows of a table of numbers; raise PipelineError if it has anything else."""
    try:
        with open(path, newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file, strict=True)]
    except (ValueError, TypeError, csv.Error) as error:
        raise PipelineError(f"{path} is damaged: it is not a table of numbers ({error})") from error
    return rows
