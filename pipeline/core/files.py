"""Small files, written whole or not at all."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any


def replace(path: Path, content: bytes) -> None:
    """Make `content` the file `path`: a reader sees the old one or this one, a crash leaves one of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON; a number that JSON has no word for (NaN) is an error."""
    replace(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write `rows`, which all have the same keys, under a line of those keys."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    replace(path, text.getvalue().encode())


def read_csv(path: Path) -> list[dict[str, float]]:
    """Return the rows of a table of numbers."""
    with open(path, newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
