"""The two layouts FER-2013 is published in: Kaggle's folders of images, the challenge's table of pixels."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple, cast

import numpy as np
from PIL import Image

from pipeline.core.constants import CODES, EMOTIONS, IMAGE_SIZE
from pipeline.core.errors import PipelineError

SPLIT_OF = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
"""The challenge's names of the splits, in the `Usage` column and in front of Kaggle's file names."""

COLUMNS = ("emotion", "pixels", "Usage")
_NAMES = tuple(name.casefold() for name in COLUMNS)
TABLES = ("fer2013.csv", "icml_face_data.csv")
"""The names under which the challenge has published the table; if both are there, the first is read."""
INDEX = ("", "unnamed: 0", "index", "id")
"""Names of a further column that programs write in front of a table; it is not read."""
MAX_LINE = 20_000
"""Bytes in a line of the table; a row has at most 9,233."""
MAX_BLANK = 1000
"""Lines of the table that hold nothing: millions of them would be read for minutes."""

_IMAGE_NAME = re.compile(r"(train|test)/([^/]+)/([A-Za-z]+)_([0-9]{1,18})\.(?:jpe?g|png)")
_CODE_OF = {str(code): emotion for code, emotion in enumerate(CODES)}
_VALUE_OF = {str(value): value for value in range(256)}


class Face(NamedTuple):
    """One image: its split (train, val or test), emotion, number in the layout, and (48, 48) uint8 pixels."""

    split: str
    emotion: str
    number: int
    pixels: np.ndarray


def parse_name(name: str, classes: Collection[str] = EMOTIONS) -> tuple[str, str, int]:
    """Return split, emotion and number of the file `name`, such as train/happy/Training_17.jpg.

    Raises PipelineError if it is no name of Kaggle's layout.
    """
    if not (match := _IMAGE_NAME.fullmatch(name)):
        raise PipelineError(
            f"unexpected file {name!r}; accepted: train/<emotion>/Training_<id>.jpg, "
            "test/<emotion>/PublicTest_<id>.jpg and PrivateTest_<id>.jpg, or .png"
        )
    folder, emotion, usage, number = match.groups()
    if emotion not in classes:
        raise PipelineError(f"unknown emotion {emotion!r} in {name!r}; accepted: {', '.join(classes)}")
    accepted = ("Training",) if folder == "train" else ("PublicTest", "PrivateTest")
    if usage not in accepted:
        raise PipelineError(f"unknown usage {usage!r} in {name!r}; accepted in {folder}/: {' and '.join(accepted)}")
    return SPLIT_OF[usage], emotion, int(number)


def decode(name: str, encoded: bytes) -> np.ndarray:
    """Return the (48, 48) uint8 pixels of the JPEG or PNG image `encoded`.

    Raises PipelineError, which names it `name`, if it is neither or has another size or depth.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            kind = f"{image.size[0]}x{image.size[1]} {image.mode}"
            shallow = image.format == "PNG" and encoded[24] != 8  # bits a pixel: Pillow widens 2 and 4 to 8
            if kind == f"{IMAGE_SIZE}x{IMAGE_SIZE} L" and not shallow:
                return np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = "" if type(error).__name__ == "UnidentifiedImageError" else f" ({error})"
        raise PipelineError(f"{name!r} is no readable JPEG or PNG image{reason}") from error
    kind += ", not of 8 bits" if shallow else ""
    raise PipelineError(f"{name!r} is an image of {kind}; accepted: {IMAGE_SIZE}x{IMAGE_SIZE} L (8-bit grey)")


def problem(head: bytes) -> str | None:
    """Return why the table that begins with `head` is not FER-2013's table; None if it is."""
    lines = _text(io.BytesIO(head)).read().splitlines()
    header = _cells(lines[0])[0] if lines else []
    if set(_NAMES) <= set(header):
        return None
    if {"emotion", "pixels"} <= set(header):
        return "has no column Usage: it is the challenge's train.csv, without val and test"
    if "pixels" in header:
        return "has no column emotion: it is the challenge's test.csv, without labels"
    if "image name" in header:
        return "is FER+'s table of labels, without images"
    return f"has the columns {', '.join(header)[:80]!r}"


def parse_table(file: IO[bytes]) -> Iterator[Face]:
    """Yield the faces of the challenge's fer2013.csv in the order of its rows, numbered from 0.

    The table may have been saved by a spreadsheet: with semicolons, an index, blank rows, and in UTF-16.
    """
    lines = _lines(file)
    header, delimiter = _cells(next(lines, ""))
    if set(_NAMES) - set(header) or set(header) - {*_NAMES, *INDEX} or len(set(header)) < len(header):
        reason = problem(",".join(header).encode()) or f"has the columns {', '.join(header)[:80]!r}"
        raise PipelineError(f"the table {reason}; accepted: {' or '.join(TABLES)}, with {', '.join(COLUMNS)}")
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    emotion, pixels, usage = map(header.index, _NAMES)
    number = blank = 0
    try:
        for row in rows:
            where = f"line {1 + rows.line_num}"
            if not any(cell.strip() for cell in row):
                blank += 1
                if blank > MAX_BLANK:
                    raise PipelineError(f"{where} is blank, as many before it; accepted: rows of 2,304 pixels")
                continue
            if len(row) != len(header):
                raise PipelineError(f"{where} has {len(row)} cells; accepted: {', '.join(header)}")
            yield Face(
                _look_up(SPLIT_OF, row[usage].strip(), "usage", where),
                _look_up(_CODE_OF, row[emotion].strip().removesuffix(".0"), "emotion", where),
                number,
                _pixels(row[pixels], where),
            )
            number += 1
    except csv.Error as error:
        raise PipelineError(f"line {1 + rows.line_num} is no line of a CSV table ({error})") from error


def _cells(header: str) -> tuple[list[str], str]:
    """Return the names in the first line of a table in lower case, and what is between them: a comma or a semicolon."""
    delimiter = ";" if ";" in header else ","
    return [cell.strip().strip('"').casefold() for cell in header.split(delimiter)], delimiter


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    """Return `file` as text in UTF-8, or in UTF-16 if it begins with its mark."""
    buffered = io.BufferedReader(cast(io.RawIOBase, file))
    wide = buffered.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.TextIOWrapper(buffered, "utf-16" if wide else "utf-8-sig", newline="")


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of `file`; refuses what no line of the table looks like before it fills the memory."""
    number = 0
    try:
        text = _text(file)
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise PipelineError(f"line {number} is over {MAX_LINE:,} letters; accepted: rows of 2,304 pixels")
            yield line
    except UnicodeError as error:
        raise PipelineError(f"line {number + 1} is no text in UTF-8; accepted: {', '.join(COLUMNS)}") from error


def _look_up(accepted: dict[str, str], cell: str, what: str, where: str) -> str:
    try:
        return accepted[cell]
    except KeyError:
        raise PipelineError(f"{where} has the unknown {what} {cell[:40]!r}; accepted: {', '.join(accepted)}") from None


def _pixels(cell: str, where: str) -> np.ndarray:
    words = cell.split()
    if len(words) != IMAGE_SIZE**2:
        raise PipelineError(f"{where} has {len(words):,} pixels; accepted: {IMAGE_SIZE**2:,}")
    try:
        values = bytes(map(_VALUE_OF.__getitem__, words))
    except KeyError as error:
        raise PipelineError(f"{where} has the pixel {error.args[0][:40]!r}; accepted: whole numbers 0 to 255") from None
    return np.frombuffer(values, np.uint8).reshape(IMAGE_SIZE, IMAGE_SIZE)
