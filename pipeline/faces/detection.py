"""Finds faces in a picture, and cuts them out as FER-2013's faces are."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.errors import PipelineError

LONGEST = 960
"""Pixels along the longer side of what a detector sees: a larger frame is made smaller first."""
SMALLEST = IMAGE_SIZE // 2
"""Pixels along the side of the smallest face that is looked for."""
YUNET_SCORE = 0.7
"""From which score on YuNet's finding counts as a face."""
PADDED = 10_000
"""Pixels along the side of the largest square that is filled up beyond the frame before it is made smaller: 100 MB."""


class Box(NamedTuple):
    """A square in a frame, in pixels from its left upper corner; it may reach beyond the frame."""

    x: int
    y: int
    side: int


Detector = Callable[[np.ndarray], list[Box]]
"""From an (h, w, 3) uint8 frame, blue first, to the boxes of the faces in it, the largest first."""


def load(yunet: Path | None = None, longest: int = LONGEST) -> Detector:
    """Return OpenCV's cascade for frontal faces, or YuNet from its model file `yunet` (.onnx).

    A frame of 48x48 pixels, the size of FER-2013's images, is a face as a whole. Sources: Viola and Jones 2001; Wu,
    Peng and Yu 2023, doi:10.1007/s11633-023-1423-y.
    Raises PipelineError where the file holds no such model.
    """
    found = _cascade() if yunet is None else _yunet(yunet)

    def detect(frame: np.ndarray) -> list[Box]:
        if frame.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
            return whole(frame)
        scale = min(1.0, longest / max(frame.shape[:2]))
        if scale * min(frame.shape[:2]) < 1:  # less than a line of pixels would be left, and no face is in it
            return []
        seen = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        boxes = [_square(*(value / scale for value in box)) for box in found(seen)]
        return sorted(boxes, key=lambda box: -box.side)

    return detect


def crop(frame: np.ndarray, box: Box) -> np.ndarray:
    """Return what is in `box` as (48, 48) uint8 grey levels; beyond the frame its edge goes on.

    No margin: on FER-2013 itself the boxes of both detectors have the scale of its images.
    """
    height, width = frame.shape[:2]
    left, top, right, bottom = box.x, box.y, box.x + box.side, box.y + box.side
    inside = frame[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    grey = cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY)
    beyond = [max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)]
    if any(beyond):
        if box.side > PADDED:  # the square around an oblong frame has many times its pixels
            scale = PADDED / box.side
            size = [max(1, round(scale * pixels)) for pixels in grey.shape[::-1]]
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
            beyond = [round(scale * pixels) for pixels in beyond]
        grey = cv2.copyMakeBorder(grey, *beyond, cv2.BORDER_REPLICATE)
    way = cv2.INTER_AREA if box.side > IMAGE_SIZE else cv2.INTER_LINEAR
    return cv2.resize(grey, (IMAGE_SIZE, IMAGE_SIZE), interpolation=way)


def whole(frame: np.ndarray) -> list[Box]:
    """Return the one box of a frame that is a face as a whole: a square around its middle, no smaller than it."""
    height, width = frame.shape[:2]
    return [_square(0, 0, width, height)]


def _cascade() -> Callable[[np.ndarray], np.ndarray]:
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))

    def find(frame: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(SMALLEST, SMALLEST))

    return find


def _yunet(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # OpenCV would end the process
        raise PipelineError(f"{path} has a name that is no UTF-8; accepted: one that is") from error
    try:
        network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), YUNET_SCORE)
        network.detect(np.zeros((320, 320, 3), np.uint8))  # another network fails no earlier
    except cv2.error as error:
        raise PipelineError(f"{path} holds no YuNet model; accepted: face_detection_yunet_*.onnx of OpenCV") from error

    def find(frame: np.ndarray) -> np.ndarray:
        network.setInputSize(frame.shape[1::-1])
        _, faces = network.detect(frame)
        return np.empty((0, 4)) if faces is None else faces[:, :4]

    return find


def _square(x: float, y: float, width: float, height: float) -> Box:
    """Return the square of the longer side around the middle of a rectangle."""
    side = max(width, height)
    return Box(round(x + (width - side) / 2), round(y + (height - side) / 2), max(1, round(side)))
