"""Draws a frame with its faces: a numbered box around each, and beside the frame a card with bars for each."""

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.faces.classifier import Answer, Face
from pipeline.plots.canvas import BLUE, GREY, ORANGE

SURE, UNSURE, BAR, INK, GROUND = BLUE, ORANGE, GREY, "black", "white"
SHORTEST = 320
"""Pixels along the shorter side of what is drawn on: a smaller frame is enlarged by a whole number."""
LONGEST = 20_000
"""Pixels along the longer side to which a frame is enlarged, at most: an oblong one stays smaller than SHORTEST."""


def annotate(
    frame: np.ndarray, faces: list[Face], classes: list[str], columns: int | None = None, note: str = ""
) -> np.ndarray:
    """Return the (h, w, 3) uint8 `frame` (blue first) with its faces marked, and their cards in columns beside it.

    There are as many columns as the faces need, or `columns`, which then hold the first faces and keep the size of all
    frames the same. `note` stands at the foot of them.
    """
    times = min(-(-SHORTEST // min(frame.shape[:2])), max(1, LONGEST // max(frame.shape[:2])))
    if times > 1:
        frame = frame.repeat(times, axis=0).repeat(times, axis=1)
    height, width = frame.shape[:2]
    size = max(11, min(height, width) // 34)
    card_height, card_width = round(size * (len(classes) + 2) * 1.3), size * 15
    a_column = max(1, height // card_height)
    columns = max(1, -(-len(faces) // a_column)) if columns is None else columns
    picture = Image.new("RGB", (width + columns * card_width, max(height, card_height)), GROUND)
    picture.paste(Image.fromarray(frame[:, :, ::-1]), (0, 0))
    draw = ImageDraw.Draw(picture)
    if not faces:
        draw.text((width + size, size), "no face", INK, _font(size, bold=True))
    for place, face in enumerate(faces):
        _mark(draw, face, place + 1, times, size)
    for place, face in enumerate(faces[: columns * a_column]):
        column, row = divmod(place, a_column)
        corner = width + column * card_width + size // 2, row * card_height + size // 2
        _card(draw, face.answer, place + 1, classes, corner, size)
    draw.text((width + size, picture.height - 2 * size), note, INK, _font(size))
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _mark(draw: ImageDraw.ImageDraw, face: Face, number: int, times: int, size: int) -> None:
    """Draw a face's box, and its number and emotion on a ground of the box's colour, inside the frame."""
    x, y, side = (times * value for value in face.box)
    colour = UNSURE if face.answer.doubt else SURE
    draw.rectangle((x, y, x + side, y + side), outline=colour, width=max(2, size // 6))
    text = f"{number} {face.answer.emotion}{'?' if face.answer.doubt else ''}"
    left, top = max(0, x), max(0, y - round(1.4 * size))
    box = draw.textbbox((left + size // 4, top), text, _font(size, bold=True))
    draw.rectangle((left, top, box[2] + size // 4, top + round(1.4 * size)), fill=colour)
    draw.text((left + size // 4, top), text, INK if face.answer.doubt else GROUND, _font(size, bold=True))


def _card(
    draw: ImageDraw.ImageDraw, answer: Answer, number: int, classes: list[str], corner: tuple[int, int], size: int
) -> None:
    """Draw what the network says of a face: a title, and a bar for each emotion."""
    x, y = corner
    step = round(size * 1.3)
    doubt = f", {answer.doubt}" if answer.doubt else ""
    draw.text((x, y), f"{number} {answer.emotion}{'?' if doubt else ''}{doubt}", INK, _font(size, bold=True))
    zero, full = x + round(5.2 * size), round(5.5 * size)
    for place, (emotion, share) in enumerate(zip(classes, answer.probabilities, strict=True), 1):
        top = y + place * step
        colour = BAR if emotion != answer.emotion else UNSURE if doubt else SURE
        draw.text((zero - size // 3, top), emotion, INK, _font(size), anchor="ra")
        draw.rectangle((zero, top + size // 8, zero + round(full * float(share)), top + size), fill=colour)
        draw.text((zero + round(full * float(share)) + size // 4, top), f"{share:.0%}", INK, _font(size))


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(files("matplotlib") / "mpl-data/fonts/ttf" / name), size)
