"""Converts a picture to a face of the dataset: grey, 48x48 pixels."""

import io
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.errors import PipelineError
from pipeline.faces.media import decode

SMALLEST = 8
"""Pixels along the shorter side of the smallest picture that is accepted."""
LONGEST = 2
"""How many times as long as the shorter side the longer side may be."""


class Picture(NamedTuple):
    """A face (48, 48) uint8, the width and height of its picture, and whether that has colours."""

    face: np.ndarray
    size: tuple[int, int]
    colour: bool


def read(encoded: bytes, name: str) -> Picture:
    """Return the picture in the bytes `encoded`; transparent pixels become white, as in `predict`.

    Raises PipelineError, which names it `name`, if it is no picture, too large, too small or too long.
    """
    pixels = decode(io.BytesIO(encoded), name)
    colour = bool((pixels != pixels[:, :, :1]).any())
    return Picture(resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), name), pixels.shape[1::-1], colour)


def resize(grey: np.ndarray, name: str) -> np.ndarray:
    """Return the whole of (h, w) uint8 `grey` as (48, 48): reduced by area averaging, enlarged bilinearly.

    Raises PipelineError, which names it `name`, if it is too small or too long.
    """
    height, width = grey.shape
    short, long = sorted((height, width))
    if short < SMALLEST or long > LONGEST * short:
        raise PipelineError(
            f"{name} has {width}x{height} pixels; accepted: faces of at least {SMALLEST} pixels a side, and at most "
            f"{LONGEST} times as long as wide"
        )
    if (height, width) == (IMAGE_SIZE, IMAGE_SIZE):
        return grey
    interpolation = cv2.INTER_AREA if short >= IMAGE_SIZE else cv2.INTER_LINEAR
    return cv2.resize(grey, (IMAGE_SIZE, IMAGE_SIZE), interpolation=interpolation)
