"""Reads pictures and videos as frames, one at a time."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.errors import PipelineError

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""The formats that Pillow may read: it knows more, among them EPS, for which it would run another program."""
VIDEOS = frozenset((".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"))
STANDARD_INPUT = Path("/dev/stdin")
LARGEST = 100_000_000
"""Pixels of the largest picture that is decoded: 300 MB, and up to 1 GB meanwhile."""
LONGEST = 60_000
"""... and along its longer side: with the cards beside it, it still fits in JPEG's 65,500."""

STRIP = 1_000_000
"""Pixels that are converted at a time."""


class Frame(NamedTuple):
    """A picture, or a frame of a video: (h, w, 3) uint8 BGR; `number` counts a video's frames from 0."""

    number: int | None
    pixels: np.ndarray


def files(names: Iterable[str], excluded: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each file; "-" is STANDARD_INPUT.

    A name is relative to the given folder, or the file's own; a number is put before it if an earlier file has the same
    name. A folder yields all pictures and videos below it, in order, except those below the folder `excluded`.
    Raises PipelineError if `excluded` itself is given: the command would read its own output the next time.
    """
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for own, path in _find(names, excluded.resolve()):
        name = own
        while name in taken:
            times[own] += 1
            name = f"{times[own] + 1}-{own}"
        taken.add(name)
        yield name, path


def _find(names: Iterable[str], excluded: Path) -> Iterator[tuple[str, Path]]:
    for name in names:
        path = Path(name)
        if name == "-":
            yield "standard-input", STANDARD_INPUT
        elif path.is_dir():
            folder = path.resolve()
            if folder == excluded:
                raise PipelineError(f"{path} is the output folder; accepted: another folder")
            for found in sorted(path.rglob("*")):
                own = folder in excluded.parents and excluded in found.resolve().parents
                if found.suffix.lower() in PICTURES | VIDEOS and found.is_file() and not own:
                    yield found.relative_to(path).as_posix(), found
        else:
            yield path.name, path


def is_video(path: Path) -> bool:
    """Return whether a file is read as a video."""
    return path.suffix.lower() in VIDEOS


def frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of the video `path`, or the one frame of a picture.

    Raises PipelineError if the file cannot be read.
    """
    if is_video(path):
        yield from _video(path)
    else:
        yield Frame(None, decode(sys.stdin.buffer if path == STANDARD_INPUT else path, str(path)))


def open_video(source: Path | str) -> cv2.VideoCapture:
    """Return OpenCV's reader of the video `source`; it yields no frames if there is no such video."""
    return cv2.VideoCapture(os.fsencode(source))  # a str that is not UTF-8 would abort the process


def read_video(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """Yield the (h, w, 3) uint8 BGR frames that are left in `video`, and close it."""
    try:
        while (read := video.read())[0]:
            yield read[1]
    finally:
        video.release()


def rate(path: Path) -> float:
    """Return the frames per second of the video `path`; 25 if the file does not state them."""
    return video_property(path, cv2.CAP_PROP_FPS) or 25.0


def video_property(path: Path, number: int) -> float:
    """Return OpenCV's property `number` (CAP_PROP_...) of the video `path`; 0 if the file does not state it."""
    return open_video(path).get(number)


def decode(source: Path | IO[bytes], name: str, largest: int = LARGEST) -> np.ndarray:
    """Return the picture in `source` as (h, w, 3) uint8 BGR; `name` is its name in errors.

    Raises PipelineError if it is not a picture, or has more than `largest` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked here
            with Image.open(source, formats=FORMATS) as picture:
                if picture.width * picture.height > largest or max(picture.size) > LONGEST:
                    raise PipelineError(
                        f"{name} has {picture.width} x {picture.height} pixels; accepted: at most {largest:,} in all, "
                        f"and {LONGEST:,} along a side"
                    )
                return _eight_bits(picture)
    except FileNotFoundError as error:
        raise PipelineError(f"{name} is missing") from error
    except UnidentifiedImageError as error:
        raise PipelineError(f"{name} is not a readable picture or video") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{name} cannot be read: {reason}") from error


def _eight_bits(picture: Image.Image) -> np.ndarray:
    """Return `picture` upright, as (h, w, 3) uint8 BGR; transparent pixels become white.

    It is converted in strips: each step of the whole picture would need its memory once more.
    """
    if picture.mode == "F":  # the file does not state which number is white
        raise ValueError("its grey levels are floating-point numbers; accepted: 8 or 16 bits")
    ImageOps.exif_transpose(picture, in_place=True)
    sixteen = picture.mode.startswith("I")
    white = max(int(picture.getextrema()[1]), 255) if sixteen else 255  # type: ignore[arg-type]
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    step = max(1, STRIP // picture.width)
    for top in range(0, picture.height, step):
        strip = picture.crop((0, top, picture.width, min(top + step, picture.height)))
        pixels[top : top + step] = np.asarray(_rgb(strip, white))[:, :, ::-1]
    return pixels


def _rgb(strip: Image.Image, white: int) -> Image.Image:
    if strip.mode.startswith("I"):  # 16 bits: convert("RGB") would clip at 255
        strip = Image.fromarray((np.asarray(strip, np.float32) / white * 255).astype(np.uint8))
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
    return strip.convert("RGB")


def _video(path: Path) -> Iterator[Frame]:
    if not path.is_file():
        raise PipelineError(f"{path} is missing")
    number = None
    for number, pixels in enumerate(read_video(open_video(path))):
        yield Frame(number, pixels)
    if number is None:
        raise PipelineError(f"{path} is not a readable video")
