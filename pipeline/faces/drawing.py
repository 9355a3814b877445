"""Draws a frame with a numbered box around each face, and beside it a card of probability bars for each face."""

from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.faces.classifier import Face, Prediction
from pipeline.plots.canvas import BLUE, GREY, ORANGE

ACCEPTED, REJECTED, BAR, INK, GROUND = BLUE, ORANGE, GREY, "black", "white"
SHORTEST = 320
"""Pixels along the shorter side of the drawing: a smaller frame is enlarged by a whole factor."""
LONGEST = 20_000
"""The longest side in pixels to which a frame is enlarged: a long frame may stay below SHORTEST."""


def annotate(
    frame: np.ndarray, faces: list[Face], classes: list[str], columns: int | None = None, note: str = ""
) -> np.ndarray:
    """Return the (h, w, 3) uint8 BGR `frame` with its faces marked, and their cards in columns beside it.

    The number of columns is as many as the faces need, or `columns`: then only the first faces have cards, and all
    frames of a video have the same size. `note` is written below the cards.
    """
    scale = min(-(-SHORTEST // min(frame.shape[:2])), max(1, LONGEST // max(frame.shape[:2])))
    if scale > 1:
        frame = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = frame.shape[:2]
    size = max(11, min(height, width) // 34)
    card_height, card_width = round(size * (len(classes) + 2) * 1.3), size * 17
    per_column = max(1, height // card_height)
    columns = max(1, -(-len(faces) // per_column)) if columns is None else columns
    picture = Image.new("RGB", (width + columns * card_width, max(height, card_height)), GROUND)
    picture.paste(Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)), (0, 0))
    draw = ImageDraw.Draw(picture)
    if not faces:
        draw.text((width + size, size), "no face", INK, _font(size, bold=True))
    for index, face in enumerate(faces, 1):
        _mark(draw, face, face.person or index, scale, size)
    for index, face in enumerate(faces[: columns * per_column]):
        column, row = divmod(index, per_column)
        corner = width + column * card_width + size // 2, row * card_height + size // 2
        _card(draw, face.prediction, face.person or index + 1, classes, corner, size)
    draw.text((width + size, picture.height - 2 * size), note, INK, _font(size))
    return cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR)


def _mark(draw: ImageDraw.ImageDraw, face: Face, number: int, scale: int, size: int) -> None:
    """Draw a face's box, and its number and emotion on the box's colour, inside the frame."""
    x, y, side = (scale * value for value in face.box[:3])
    colour = REJECTED if face.prediction.rejected else ACCEPTED
    half = side / 2 * np.exp(1j * np.radians(face.box.angle))
    corners = [x + side / 2 + 1j * (y + side / 2) + half * corner for corner in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j)]
    draw.polygon([(c.real, c.imag) for c in corners], outline=colour, width=max(2, size // 6))
    text = f"{number} {face.prediction.emotion}{'?' if face.prediction.rejected else ''}"
    left, top = max(0, x), max(0, y - round(1.4 * size))
    box = draw.textbbox((left + size // 4, top), text, _font(size, bold=True))
    draw.rectangle((left, top, box[2] + size // 4, top + round(1.4 * size)), fill=colour)
    draw.text((left + size // 4, top), text, INK if face.prediction.rejected else GROUND, _font(size, bold=True))


def _card(
    draw: ImageDraw.ImageDraw,
    prediction: Prediction,
    number: int,
    classes: list[str],
    corner: tuple[int, int],
    size: int,
) -> None:
    """Draw a title, and a bar for each emotion's probability."""
    x, y = corner
    step = round(size * 1.3)
    reason = f"?, {prediction.rejected}" if prediction.rejected else ""
    draw.text((x, y), f"{number} {prediction.emotion}{reason}", INK, _font(size, bold=True))
    zero, full = x + round(5.2 * size), round(5.5 * size)
    for index, (emotion, probability) in enumerate(zip(classes, prediction.probabilities, strict=True), 1):
        top = y + index * step
        colour = BAR if emotion != prediction.emotion else REJECTED if reason else ACCEPTED
        draw.text((zero - size // 3, top), emotion, INK, _font(size), anchor="ra")
        draw.rectangle((zero, top + size // 8, zero + round(full * float(probability)), top + size), fill=colour)
        draw.text((zero + round(full * float(probability)) + size // 4, top), f"{probability:.0%}", INK, _font(size))


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(files("matplotlib") / "mpl-data/fonts/ttf" / name), size)
