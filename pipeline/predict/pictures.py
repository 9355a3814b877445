"""Writes an annotated picture in the format of the picture that it was drawn on."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from pipeline.core import files
from pipeline.faces import media

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "TIFF": ".tif", "BMP": ".bmp"}
"""The formats that are kept; a picture of another one becomes a PNG, or a JPEG if it is a photograph's (HEIC)."""
LONGEST_WEBP = 16_383


def write(path: Path, original: Path, drawn: np.ndarray) -> None:
    """Write the (h, w, 3) uint8 BGR picture `drawn` as `path` with the suffix of its format: the one of `original`.

    A JPEG is compressed as much as `original`.
    """
    kind, options = ("PNG", {}) if original == media.STANDARD_INPUT else _format(original)
    if kind == "WEBP" and max(drawn.shape) > LONGEST_WEBP:
        kind = "PNG"
    content = io.BytesIO()
    Image.fromarray(drawn[:, :, ::-1]).save(content, kind, **options)
    files.replace(path.with_name(path.name + SUFFIXES[kind]), content.getvalue())


def _format(original: Path) -> tuple[str, dict[str, Any]]:
    """Return the format in which a picture drawn on `original` is written, and the options of Pillow for it."""
    with Image.open(original, formats=media.formats()) as picture:
        if isinstance(picture, JpegImagePlugin.JpegImageFile):
            sampling = JpegImagePlugin.get_sampling(picture)
            return "JPEG", {"qtables": picture.quantization, "subsampling": sampling}
        kind = {"HEIF": "JPEG"}.get(str(picture.format), str(picture.format))
    return (kind if kind in SUFFIXES else "PNG"), ({"compression": "tiff_lzw"} if kind == "TIFF" else {})
