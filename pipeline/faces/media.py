"""Reads pictures and videos as frames, one at a time."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, TypeGuard

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.errors import PipelineError

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What Pillow may take such a file for: it knows rarer formats, one of which another program would run (EPS)."""
VIDEOS = frozenset((".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"))
STANDARD_INPUT = "-"
LARGEST = 100_000_000
"""Pixels of the largest picture that is decoded: 300 MB."""
LONGEST = 60_000
"""... and along its longer side: JPEG's 65,500 hold it with the cards beside it."""


class Frame(NamedTuple):
    """A picture, or a frame of a video: (h, w, 3) uint8, blue first; `number` counts a video's frames from 0."""

    number: int | None
    pixels: np.ndarray


def files(names: Iterable[str], but: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield the name of each file, each another one, and its path; None for "-".

    A name is relative to the folder that was given, or the file's own; where an earlier file has it, a number that
    makes it another one stands before it. A folder gives the pictures and videos in it and below, in order, except
    those of a folder `but` below it.
    Raises PipelineError where `but` is such a folder itself: what is written there would be read the next time.
    """
    given: set[str] = set()
    times: Counter[str] = Counter()
    for own, path in _found(names, but.resolve()):
        name = own
        while name in given:
            times[own] += 1
            name = f"{times[own] + 1}-{own}"
        given.add(name)
        yield name, path


def _found(names: Iterable[str], but: Path) -> Iterator[tuple[str, Path | None]]:
    for name in names:
        path = Path(name)
        if name == STANDARD_INPUT:
            yield "standard-input", None
        elif path.is_dir():
            folder = path.resolve()
            if folder == but:
                raise PipelineError(f"{path} is where answers are written; accepted: another folder")
            for found in sorted(path.rglob("*")):
                own = folder in but.parents and but in found.resolve().parents
                if found.suffix.lower() in PICTURES | VIDEOS and found.is_file() and not own:
                    yield found.relative_to(path).as_posix(), found
        else:
            yield path.name, path


def is_video(path: Path | None) -> TypeGuard[Path]:
    """Tell whether a file is read as a video."""
    return path is not None and path.suffix.lower() in VIDEOS


def frames(path: Path | None) -> Iterator[Frame]:
    """Yield the frames of the video `path`, or the one of a picture; None is a picture from standard input.

    Raises PipelineError where the file cannot be read as one.
    """
    if is_video(path):
        yield from _video(path)
    else:
        yield Frame(None, decode(sys.stdin.buffer if path is None else path, str(path or "standard input")))


def opened(source: Path | str) -> cv2.VideoCapture:
    """Return OpenCV's reader of the video `source`; where there is none, it gives no frames."""
    return cv2.VideoCapture(os.fsencode(source))  # a str that is no UTF-8 would end the process


def rate(path: Path) -> float:
    """Return how many frames a second the video `path` has; 25 where it does not say."""
    return told(path, cv2.CAP_PROP_FPS) or 25.0


def told(path: Path, what: int) -> float:
    """Return the number `what` of the video `path`, as OpenCV calls it (CAP_PROP_...); 0 where it does not say."""
    video = opened(path)
    try:
        return video.get(what)
    finally:
        video.release()


def decode(source: Path | IO[bytes], name: str) -> np.ndarray:
    """Return the picture in `source`, which errors call `name`, as (h, w, 3) uint8, blue first.

    Raises PipelineError where it is none, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, at sizes that are checked here
            with Image.open(source, formats=FORMATS) as picture:
                if picture.width * picture.height > LARGEST or max(picture.size) > LONGEST:
                    raise PipelineError(
                        f"{name} has {picture.width} x {picture.height} pixels; accepted: at most {LARGEST:,} in all, "
                        f"and {LONGEST:,} along a side"
                    )
                return np.ascontiguousarray(np.asarray(_eight_bits(picture))[:, :, ::-1])
    except FileNotFoundError as error:
        raise PipelineError(f"{name} is missing") from error
    except UnidentifiedImageError as error:
        raise PipelineError(f"{name} is no picture or video that can be read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{name} cannot be read: {reason}") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return `picture` upright, in RGB of 8 bits; what is transparent becomes white."""
    if picture.mode == "F":  # nothing says which number is white
        raise ValueError("its grey levels are floating-point numbers; accepted: 8 or 16 bits")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits: convert("RGB") would cut off what is above 255
        levels = np.asarray(picture, np.float32)
        picture = Image.fromarray((levels / max(levels.max(), 255.0) * 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _video(path: Path) -> Iterator[Frame]:
    if not path.is_file():
        raise PipelineError(f"{path} is missing")
    video = opened(path)
    try:
        number = 0
        while True:
            there, pixels = video.read()
            if not there:
                break
            yield Frame(number, pixels)
            number += 1
    finally:
        video.release()
    if number == 0:
        raise PipelineError(f"{path} is no video that can be read")
