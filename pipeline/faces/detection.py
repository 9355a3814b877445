"""Detects faces in a frame and crops them like the faces of FER-2013."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.errors import PipelineError

LONGEST = 960
"""Pixels along the longer side of a detector's input: a larger frame is reduced first."""
SMALLEST = IMAGE_SIZE // 2
"""Pixels along the side of the smallest face that is detected."""
YUNET_SCORE = 0.7
"""The lowest score of a YuNet detection that counts as a face."""
MAX_PADDED = 10_000
"""Pixels along the side of the largest square that is padded at full size (100 MB); a larger one is reduced first."""


class Box(NamedTuple):
    """A square in a frame, in pixels from the upper left corner; it may exceed the frame."""

    x: int
    y: int
    side: int


Detector = Callable[[np.ndarray], list[Box]]
"""From an (h, w, 3) uint8 BGR frame to the boxes of its faces, the largest first."""


def load(yunet: Path | None = None, longest: int = LONGEST) -> Detector:
    """Return OpenCV's cascade for frontal faces, or YuNet loaded from the file `yunet` (.onnx).

    A frame of 48x48 pixels, the size of FER-2013's images, is one face. Sources: Viola and Jones 2001; Wu, Peng and Yu
    2023, doi:10.1007/s11633-023-1423-y. Raises PipelineError if the file is not a YuNet model.
    """
    find = _load_cascade() if yunet is None else _load_yunet(yunet)

    def detect(frame: np.ndarray) -> list[Box]:
        if frame.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
            return whole(frame)
        scale = min(1.0, longest / max(frame.shape[:2]))
        if scale * min(frame.shape[:2]) < 1:  # less than one row of pixels would remain
            return []
        reduced = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        boxes = [_square(*(value / scale for value in box)) for box in find(reduced)]
        return sorted(boxes, key=lambda box: -box.side)

    return detect


def crop(frame: np.ndarray, box: Box) -> np.ndarray:
    """Return the content of `box` as (48, 48) uint8 grey levels; beyond the frame, its edge pixels are repeated.

    No margin is added: on FER-2013 the boxes of both detectors have the scale of its images.
    """
    height, width = frame.shape[:2]
    left, top, right, bottom = box.x, box.y, box.x + box.side, box.y + box.side
    inside = frame[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    grey = cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY)
    padding = [max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)]
    if any(padding):
        if box.side > MAX_PADDED:  # the square around a long frame has many times its pixels
            scale = MAX_PADDED / box.side
            size = [max(1, round(scale * pixels)) for pixels in grey.shape[::-1]]
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
            padding = [round(scale * pixels) for pixels in padding]
        grey = cv2.copyMakeBorder(grey, *padding, cv2.BORDER_REPLICATE)
    interpolation = cv2.INTER_AREA if box.side > IMAGE_SIZE else cv2.INTER_LINEAR
    return cv2.resize(grey, (IMAGE_SIZE, IMAGE_SIZE), interpolation=interpolation)


def whole(frame: np.ndarray) -> list[Box]:
    """Return one box for a frame that is a single face: the smallest square around the frame, with the same centre."""
    height, width = frame.shape[:2]
    return [_square(0, 0, width, height)]


def _load_cascade() -> Callable[[np.ndarray], np.ndarray]:
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))

    def find(frame: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(SMALLEST, SMALLEST))

    return find


def _load_yunet(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    content, none = np.frombuffer(path.read_bytes(), np.uint8), np.empty(0, np.uint8)
    try:
        model = cv2.FaceDetectorYN.create("onnx", content, none, (320, 320), YUNET_SCORE)
        model.detect(np.zeros((320, 320, 3), np.uint8))  # a model of another kind fails here, not in create
    except cv2.error as error:
        raise PipelineError(f"{path} is not a YuNet model; accepted: face_detection_yunet_*.onnx of OpenCV") from error

    def find(frame: np.ndarray) -> np.ndarray:
        model.setInputSize(frame.shape[1::-1])
        _, faces = model.detect(frame)
        return np.empty((0, 4)) if faces is None else faces[:, :4]

    return find


def _square(x: float, y: float, width: float, height: float) -> Box:
    """Return the square around a rectangle: same centre, side as long as the longer one."""
    side = max(width, height)
    return Box(round(x + (width - side) / 2), round(y + (height - side) / 2), max(1, round(side)))
