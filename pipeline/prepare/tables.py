"""Tables: one row per image, with its pixels or the name of its file, its label, and perhaps its split."""

import codecs
import csv
import io
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, NamedTuple, cast

import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.data.containers import MAX_TABLE, Bounded
from pipeline.prepare.names import split_of

LABELS = ("emotion", "label", "labels", "class", "expression", "category", "target")
PIXELS = ("pixels", "pixel")
FILES = ("file", "filename", "file_name", "path", "filepath", "image", "image_path", "img", "pth")
SPLITS = ("usage", "split", "set", "subset", "partition")
MAX_LINE = 2**17
"""Letters of the longest line, as of a cell in Python's csv: a picture of 180x180 pixels has no more."""
MAX_ROWS = 1_000_000
MAX_BYTES = 5 * MAX_TABLE
HEAD = 2**14


class Columns(NamedTuple):
    """The columns of a table, by their places; `files` or `pixels` is None."""

    cells: int
    delimiter: str
    label: str
    labels: int
    pixels: int | None
    files: int | None
    splits: int | None


class Row(NamedTuple):
    """A row: the number of its line, its split (None without a column), its label, and its pixels or file."""

    line: int
    split: str | None
    label: str
    content: str


def columns(head: bytes) -> Columns | None:
    """Return the columns of the table that begins with `head`; None if it has no labels, or no pixels and no files."""
    first = _text(io.BytesIO(head)).readline()
    delimiter = next((d for d in (";", "\t") if d in first), ",")
    names = [cell.strip().strip('"').casefold() for cell in first.split(delimiter)]
    place = [next((names.index(n) for n in known if n in names), None) for known in (LABELS, PIXELS, FILES, SPLITS)]
    labels, pixels, files, splits = place
    if labels is None or (pixels is None and files is None):
        return None
    return Columns(len(names), delimiter, names[labels], labels, pixels, None if pixels is not None else files, splits)


def choose(usable: dict[str, Columns]) -> tuple[dict[str, Columns], dict[str, list[str]]]:
    """Return the tables to read: the one with splits, or those that are splits by their names, or the only one."""
    divided = {name: columns for name, columns in usable.items() if columns.splits is not None}
    named = {name: columns for name, columns in usable.items() if split_of_table(name)}
    chosen = divided or named or usable
    if len(chosen) > 1 and (divided or len({split_of_table(name) for name in chosen}) < len(chosen)):
        raise PipelineError(
            f"{' and '.join(sorted(chosen)[:3])} are tables of labelled pictures; accepted: one with a column of "
            "splits, or tables called train.csv, val.csv and test.csv"
        )
    rest = [name for name in usable if name not in chosen]
    return chosen, {"tables, beside those that were read": rest} if rest else {}


def unusable(
    heads: dict[str, Columns | None], chosen: dict[str, Columns], left: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Return the tables among `heads` that are neither `chosen` nor already in `left`, by the reason."""
    known = {*chosen, *(name for names in left.values() for name in names)}
    unusable = [name for name in heads if name not in known]
    return {"tables without labels, or without pictures": unusable} if unusable else {}


def split_of_table(name: str) -> str | None:
    """Return the split that the file name of a table means: train for train.csv; None if it means none."""
    return split_of(PurePosixPath(name).name.partition(".")[0])


def rows(file: IO[bytes], found: Columns, name: str) -> Iterator[Row]:
    """Yield the rows of the table `name`; blank ones are left out.

    Raises PipelineError, which names table and line, if one has another number of cells or an unknown split.
    """
    lines = _lines(file, name)
    next(lines, None)
    table = csv.reader(lines, strict=True, delimiter=found.delimiter)
    content = cast(int, found.files if found.pixels is None else found.pixels)
    try:
        for cells in table:
            line = 1 + table.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != found.cells:
                raise PipelineError(f"{name}, line {line}, has {len(cells)} cells; accepted: {found.cells}")
            split = None
            if found.splits is not None and not (split := split_of(cells[found.splits])):
                raise PipelineError(
                    f"{name}, line {line}, has the unknown split {cells[found.splits][:40]!r}; accepted: train, val, "
                    "test, Training, PublicTest, PrivateTest"
                )
            yield Row(line, split, cells[found.labels].strip(), cells[content].strip())
    except csv.Error as error:
        raise PipelineError(f"{name}, line {1 + table.line_num}, is no line of a CSV table ({error})") from error


def square(text: str, where: str) -> np.ndarray:
    """Return the pixels in `text` as a (side, side) uint8 picture; raise PipelineError if they are none."""
    words = text.split()
    side = math.isqrt(len(words))
    try:
        values = np.array(words, np.int64)
    except (ValueError, OverflowError):
        values = np.array([-1])
    if side * side != len(words) or not words or values.min() < 0 or values.max() > 255:
        raise PipelineError(f"{where}: accepted as pixels: n x n whole numbers 0 to 255, with spaces between")
    return values.astype(np.uint8).reshape(side, side)


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    """Return `file` as text in UTF-8, or in UTF-16 if it begins with its mark."""
    buffered = io.BufferedReader(Bounded(file, MAX_BYTES, "a table of images has"))
    wide = buffered.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.TextIOWrapper(buffered, "utf-16" if wide else "utf-8-sig", errors="replace", newline="")


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of `file`; refuses what no line of a table looks like before it fills the memory."""
    text = _text(file)
    for number in range(1, MAX_ROWS + 2):
        if not (line := text.readline(MAX_LINE + 1)):
            return
        if len(line) > MAX_LINE:
            raise PipelineError(f"{name}, line {number}, is over {MAX_LINE:,} letters; accepted: one image a line")
        yield line
    raise PipelineError(f"{name} has over {MAX_ROWS:,} lines; accepted: fewer")
