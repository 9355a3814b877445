"""Detects faces in a frame and crops them like the faces of FER-2013."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.errors import PipelineError
from pipeline.faces import yunet, yunet_file

YUNET, HAAR = "yunet", "haar"
"""The names of the detectors: YuNet, and OpenCV's cascade, which needs no file."""
LONGEST = {YUNET: 4096, HAAR: 960}
"""Pixels along the longer side of a detector's input: a larger frame is reduced first."""
SMALLEST, NEIGHBOURS = IMAGE_SIZE // 2, 12
"""Pixels along the side of the smallest face that the cascade detects, and how many of its windows must agree on it."""
LARGEST_CROP, LONGEST_WARPED = 2048, 32_000
"""Pixels along the side of the square that is cut out, before it is reduced; the longest side that OpenCV can turn."""


class Box(NamedTuple):
    """A square in a frame, in pixels from the upper left corner, turned clockwise about its centre by `angle` degrees.

    It may exceed the frame.
    """

    x: int
    y: int
    side: int
    angle: int = 0


Detector = Callable[[np.ndarray], list[Box]]
"""From an (h, w, 3) uint8 BGR frame to the boxes of its faces, the largest first."""


def load(name: str | None = None, longest: int | None = None, when_needed: bool = False) -> Detector:
    """Return the detector `name`: "yunet", which is the default, "haar", or the path of another YuNet model (.onnx).

    A frame of 48x48 pixels, the size of FER-2013's images, is one face. With `when_needed`, the detector is loaded, and
    YuNet fetched, at the first frame of another size. Raises PipelineError if that cannot be done.
    """
    name = name or YUNET
    if name not in LONGEST and not Path(name).is_file():
        raise PipelineError(f"--detector {name} is no file; accepted: {YUNET}, {HAAR}, a YuNet model's file (.onnx)")
    find = cache(lambda: _load(name, longest or LONGEST.get(name, LONGEST[YUNET])))
    if not when_needed:
        find()

    def detect(frame: np.ndarray) -> list[Box]:
        if frame.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
            return whole(frame)
        return sorted(find()(frame), key=lambda box: -box.side)

    return detect


def crop(frame: np.ndarray, box: Box) -> np.ndarray:
    """Return the content of `box` upright, as (48, 48) uint8 grey levels; beyond the frame, its edge is repeated."""
    height, width = frame.shape[:2]
    centre, reach = np.add(box[:2], box.side / 2), box.side * (0.75 if box.angle else 0.5)
    left, top = np.floor(centre - reach).clip(0).astype(int)
    right, bottom = np.ceil(centre + reach).astype(int)
    inside = cv2.cvtColor(frame[top : min(height, bottom), left : min(width, right)], cv2.COLOR_BGR2GRAY)
    scale = min(1.0, LONGEST_WARPED / max(inside.shape))
    if scale < 1:
        size = [max(1, round(scale * pixels)) for pixels in inside.shape[::-1]]
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    pixels = min(max(IMAGE_SIZE, box.side), LARGEST_CROP)
    turn = cv2.getRotationMatrix2D((0, 0), -box.angle, scale * box.side / pixels)[:, :2]
    origin = scale * (centre - (left, top)) - 0.5 - turn @ np.full(2, (pixels - 1) / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    upright = cv2.warpAffine(
        inside, np.column_stack([turn, origin]), (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(upright, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)


def whole(frame: np.ndarray) -> list[Box]:
    """Return one box for a frame that is a single face: the smallest square around the frame, with the same centre."""
    height, width = frame.shape[:2]
    return [_box(width / 2, height / 2, max(width, height))]


def _load(name: str, longest: int) -> Detector:
    if name == HAAR:
        return _load_cascade(longest)
    model = yunet.YuNet(yunet_file.read() if name == YUNET else Path(name).read_bytes(), name)
    return lambda frame: [_box(*face) for face in model.find(frame, longest)]


def _load_cascade(longest: int) -> Detector:
    """Return OpenCV's cascade for frontal faces. Source: Viola and Jones 2001."""
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))

    def find(frame: np.ndarray) -> list[Box]:
        scale = min(1.0, longest / max(frame.shape[:2]))
        if scale * min(frame.shape[:2]) < 1:  # less than one row of pixels would remain
            return []
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        found = cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=NEIGHBOURS, minSize=(SMALLEST, SMALLEST))
        return [_box((x + side / 2) / scale, (y + side / 2) / scale, side / scale) for x, y, side, _ in found]

    return find


def _box(x: float, y: float, side: float, angle: float = 0) -> Box:
    """Return the box with this centre, side and angle."""
    side = max(1, round(side))
    return Box(round(x - side / 2), round(y - side / 2), side, round(angle))
