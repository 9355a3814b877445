"""Finds pictures and videos, and reads pictures."""

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.errors import PipelineError

PICTURES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".bmp", ".gif", ".tif")
) | {".tiff", ".pgm", ".pbm", ".pnm", ".ppm"}
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
"""The formats that Pillow may read: it knows more, among them EPS, for which it would run another program."""
HEIC = "is HEIC; accepted: the picture converted to JPEG, or as it is after `pip install pillow-heif`"
VIDEOS = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".asf", ".flv", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts")
) | {".vob", ".3gp", ".3g2", ".ogv"}
LIKE_PICTURES = frozenset(
    (".arw", ".cr2", ".cr3", ".dng", ".exr", ".ico", ".j2k", ".jp2", ".jxl", ".mxf", ".nef", ".orf", ".psd", ".raf")
) | {".raw", ".rm", ".rw2", ".svg", ".tga"}
"""Pictures and videos, by their names, that are not read."""
STANDARD_INPUT = Path("/dev/stdin")
LARGEST = 100_000_000
"""Pixels of the largest picture that is decoded: 300 MB, and up to 1 GB meanwhile."""
LONGEST = 60_000
"""... and along its longer side: with the cards beside it, it still fits in JPEG's 65,500."""

STRIP = 1_000_000
"""Pixels that are converted at a time."""


def files(names: Iterable[str], excluded: Path, passed_over: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each file; "-" is STANDARD_INPUT.

    A name is relative to the given folder, or the file's own; a number is put before it if an earlier file has the same
    name. A folder yields all pictures and videos below it, in order, except those below the folder `excluded`; its
    other files, unless hidden, are added to `passed_over`.
    Raises PipelineError if `excluded` itself is given: the command would read its own output the next time.
    """
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for own, path in _find(names, excluded.resolve(), passed_over):
        name = own
        while name in taken:
            times[own] += 1
            name = f"{times[own] + 1}-{own}"
        taken.add(name)
        yield name, path


def _find(names: Iterable[str], excluded: Path, passed_over: list[Path]) -> Iterator[tuple[str, Path]]:
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
                if own or not found.is_file():
                    continue
                if found.suffix.lower() in PICTURES | VIDEOS:
                    yield found.relative_to(path).as_posix(), found
                elif not found.name.startswith("."):
                    passed_over.append(found)
        else:
            yield path.name, path


def is_video(path: Path) -> bool:
    """Return whether a file is read as a video."""
    return path.suffix.lower() in VIDEOS


def read(path: Path) -> np.ndarray:
    """Return the picture `path` as (h, w, 3) uint8 BGR; raise PipelineError if it cannot be read."""
    return decode(sys.stdin.buffer if path == STANDARD_INPUT else path, str(path))


def decode(source: Path | IO[bytes], name: str, largest: int = LARGEST) -> np.ndarray:
    """Return the picture in `source` as (h, w, 3) uint8 BGR, the first of an animation; `name` is its name in errors.

    Raises PipelineError if it is not a picture, or has more than `largest` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked here
            with Image.open(source, formats=formats()) as picture:
                check_size(*picture.size, name, largest)
                return _eight_bits(picture)
    except FileNotFoundError as error:
        raise PipelineError(f"{name} is missing") from error
    except UnidentifiedImageError as error:
        heic = name.lower().endswith((".heic", ".heif"))
        raise PipelineError(f"{name} {HEIC if heic else 'is not a readable picture or video'}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{name} cannot be read: {reason}") from error


@cache
def formats() -> tuple[str, ...]:
    """Return FORMATS, and HEIF if the package for it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def check_size(width: int, height: int, name: str, largest: int = LARGEST) -> None:
    """Raise PipelineError if a picture or frame is too large; `name` is the file's name in errors."""
    if width * height > largest or max(width, height) > LONGEST:
        accepted = f"accepted: at most {largest:,} in all, and {LONGEST:,} along a side"
        raise PipelineError(f"{name} has {width} x {height} pixels; {accepted}")


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
