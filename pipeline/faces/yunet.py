"""YuNet, OpenCV's neural face detector: views of a frame in several sizes and tilts, and faces set upright.

Source: Wu, Peng and Yu 2023, doi:10.1007/s11633-023-1423-y.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.errors import PipelineError

SCORE = 0.7
"""The lowest score of a detection that counts as a face."""
TILTED_LONGEST = 960
"""Pixels along the longer side of the largest tilted view."""
SMALLEST, STEP = 10, 4
"""Pixels along the shorter side of the smallest view, and the factor between their sizes."""
SIDE = 1.05
"""The side of a face as FER-2013 frames it, over the mean of the sides of YuNet's box: `python -m benchmarks faces`."""
FACE = np.array([-0.18 - 0.12j, 0.18 - 0.12j, 0.09j, -0.15 + 0.25j, 0.15 + 0.25j])
"""Where FER-2013's faces have the eyes, the tip of the nose and the corners of the mouth, from the image's centre."""
ANGLE = 1.2
"""The angle of a face over the angle of YuNet's points, which lags behind."""
TILE, OVERLAP = 1600, 320
"""Pixels along the side of the tiles of a view, which bound the memory, and pixels that neighbours share."""
TILT = 30
"""Degrees by which a frame is tilted either way if no face is found in it upright."""
SAME = 0.3
"""The intersection over union from which two detections are the same face."""


class View(NamedTuple):
    """Pixels that YuNet sees, and the (2, 3) affine map from its points to the frame's."""

    pixels: np.ndarray
    to_frame: np.ndarray


class YuNet:
    """YuNet, ready to find faces."""

    def __init__(self, content: bytes, name: str):
        """Load the `content` of an .onnx file called `name`; raise PipelineError if it is not a YuNet model."""
        buffer, none = np.frombuffer(content, np.uint8), np.empty(0, np.uint8)
        try:
            self._model = cv2.FaceDetectorYN.create("onnx", buffer, none, (320, 320), SCORE)
            self._model.detect(np.zeros((320, 320, 3), np.uint8))  # a model of another kind fails here, not in create
        except cv2.error as error:
            accepted = "accepted: face_detection_yunet_*.onnx of OpenCV"
            raise PipelineError(f"{name} is not a YuNet model; {accepted}") from error

    def find(self, frame: np.ndarray, longest: int) -> np.ndarray:
        """Return the (n, 4) faces in an (h, w, 3) uint8 BGR frame: centre x and y, side, and clockwise angle.

        Searches the frame in sizes up to `longest` pixels, and tilted if no face is upright in it.
        """
        upright = self._search(tile for level in _levels(frame, longest) for tile in _tiles(level))
        if len(upright):
            return upright
        levels = list(_levels(frame, min(longest, TILTED_LONGEST)))
        return self._search(_tilted(level, angle) for level in levels for angle in (-TILT, TILT))

    def _search(self, views: Iterable[View]) -> np.ndarray:
        """Return the (n, 4) faces in all `views`, each once: the detection with the highest score."""
        faces, scores = [np.empty((0, 4))], [np.empty(0)]
        for view in views:
            self._model.setInputSize(view.pixels.shape[1::-1])
            _, found = self._model.detect(view.pixels)
            if found is not None:
                faces.append(_framed(found, view.to_frame))
                scores.append(found[:, 14])
        every = np.concatenate(faces)
        squares = np.column_stack([every[:, :2] - every[:, 2:3] / 2, every[:, 2], every[:, 2]])
        return every[list(cv2.dnn.NMSBoxes(squares.tolist(), np.concatenate(scores).tolist(), SCORE, SAME))]


def _framed(found: np.ndarray, to_frame: np.ndarray) -> np.ndarray:
    """Return the (n, 4) faces in the frame of the (n, 15) detections in a view.

    A detection has a box (left, top, width, height), the x and y of five points, and a score. The angle is the one of
    the similarity that maps FACE to the points with the least squares.
    """
    centre, side = found[:, :2] + found[:, 2:4] / 2, SIDE * found[:, 2:4].mean(1)
    angle = ANGLE * np.angle((found[:, 4:14:2] + 1j * found[:, 5:14:2]) @ (FACE - FACE.mean()).conj())
    linear = to_frame[:, :2]
    tilt, scale = np.arctan2(linear[1, 0], linear[0, 0]), np.sqrt(np.linalg.det(linear))
    return np.column_stack([centre @ linear.T + to_frame[:, 2], scale * side, np.degrees(angle + tilt)])


def _levels(frame: np.ndarray, longest: int) -> Iterator[View]:
    """Yield the frame reduced to `longest`, then each time to a STEP-th, until every face is small."""
    scale = min(1.0, longest / max(frame.shape[:2]))
    while scale * min(frame.shape[:2]) >= SMALLEST:
        reduced = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        yield View(reduced, np.array([[1 / scale, 0, 0], [0, 1 / scale, 0]]))
        if max(reduced.shape[:2]) <= OVERLAP:
            return
        scale /= STEP


def _tiles(level: View) -> Iterator[View]:
    """Yield the tiles of a level: a face of up to OVERLAP pixels is whole in one of them."""
    tops, lefts = (range(0, max(1, length - OVERLAP), TILE - OVERLAP) for length in level.pixels.shape[:2])
    for top, left in product(tops, lefts):
        to_frame = level.to_frame @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
        yield View(np.ascontiguousarray(level.pixels[top : top + TILE, left : left + TILE]), to_frame)


def _tilted(level: View, angle: float) -> View:
    """Return a level turned by `angle` degrees, in a view that holds all of it."""
    height, width = level.pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    size = np.ceil(np.abs(turn[:, :2]) @ (width, height)).astype(int)
    turn[:, 2] += (size - (width, height)) / 2
    back = np.vstack([cv2.invertAffineTransform(turn), [0, 0, 1]])
    return View(cv2.warpAffine(level.pixels, turn, size.tolist()), level.to_frame @ back)
