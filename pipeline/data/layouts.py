"""The two layouts FER-2013 is published in: Kaggle's folders of images, the challenge's table of pixels."""

import csv
import io
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from pipeline.core.constants import EMOTIONS, IMAGE_SIZE
from pipeline.core.errors import PipelineError

SPLIT_OF = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
"""The challenge's names of the splits, in the `Usage` column and in front of Kaggle's file names."""

CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The emotions in the order of the challenge's codes, 0 to 6."""

COLUMNS = ("emotion", "pixels", "Usage")
TABLE = "fer2013.csv"
MAX_LINE = 20_000
"""Bytes in a line of the table; a row has at most 9,233."""
MAX_BLANK = 1000
"""Lines of the table that hold nothing: millions of them would be read for minutes."""

_IMAGE_NAME = re.compile(r"(train|test)/([^/]+)/([A-Za-z]+)_([0-9]{1,18})\.(?:jpe?g|png)")
_CODE_OF = {str(code): emotion for code, emotion in enumerate(CODES)}
_VALUE_OF = {str(value): value for value in range(256)}

Bytes = IO[bytes] | io.BufferedIOBase
"""A file that is open for reading."""


class Face(NamedTuple):
    """One image: its split (train, val or test), emotion, number in the layout, and (48, 48) uint8 pixels."""

    split: str
    emotion: str
    number: int
    pixels: np.ndarray


def parse_name(name: str) -> tuple[str, str, int]:
    """Return split, emotion and number of the file `name`, such as train/happy/Training_17.jpg.

    Raises PipelineError if it is no name of Kaggle's layout.
    """
    if not (match := _IMAGE_NAME.fullmatch(name)):
        raise PipelineError(
            f"unexpected file {name!r}; accepted: train/<emotion>/Training_<id>.jpg, "
            "test/<emotion>/PublicTest_<id>.jpg and PrivateTest_<id>.jpg, or .png"
        )
    folder, emotion, usage, number = match.groups()
    if emotion not in EMOTIONS:
        raise PipelineError(f"unknown emotion {emotion!r} in {name!r}; accepted: {', '.join(EMOTIONS)}")
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


def parse_table(file: Bytes) -> Iterator[Face]:
    """Yield the faces of the challenge's fer2013.csv in the order of its rows, numbered from 0."""
    rows = csv.reader(_lines(file), strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            raise PipelineError(f"columns {', '.join(header)[:80]!r}; accepted: {', '.join(COLUMNS)}")
        emotion, pixels, usage = map(header.index, COLUMNS)
        number = 0
        for row in rows:
            where = f"line {rows.line_num}"
            if not row and rows.line_num > 1 + number + MAX_BLANK:
                raise PipelineError(f"{where} is blank, as many before it; accepted: rows of 2,304 pixels")
            if not row:
                continue
            if len(row) != len(COLUMNS):
                raise PipelineError(f"{where} has {len(row)} cells; accepted: {', '.join(COLUMNS)}")
            yield Face(
                _look_up(SPLIT_OF, row[usage], "usage", where),
                _look_up(_CODE_OF, row[emotion], "emotion", where),
                number,
                _pixels(row[pixels], where),
            )
            number += 1
    except csv.Error as error:
        raise PipelineError(f"line {rows.line_num} is no line of a CSV table ({error})") from error


def _lines(file: Bytes) -> Iterator[str]:
    """Yield the lines of `file`; refuses what no line of the table looks like before it fills the memory."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise PipelineError(f"line {number} is over {MAX_LINE:,} bytes; accepted: rows of 2,304 pixels")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "ascii")
        except UnicodeDecodeError as error:
            raise PipelineError(f"line {number} is no ASCII text; accepted: {', '.join(COLUMNS)}") from error


def _look_up(accepted: dict[str, str], cell: str, what: str, where: str) -> str:
    try:
        return accepted[cell.strip()]
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
