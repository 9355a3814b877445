"""Emotions of the faces in pictures, for a program of one's own: `read("photo.jpg")`."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.faces import detection, media
from pipeline.faces.classifier import Classifier, Face
from pipeline.faces.detection import Box, Detector
from pipeline.faces.loading import load_classifier

Picture = str | Path | np.ndarray
"""A file, or (h, w, 3) uint8 BGR or (h, w) uint8 grey pixels, as cv2.imread returns them."""


MODEL = paths.weights("best")


class Reading(NamedTuple):
    """A face in a picture: where it is, its emotion, and the calibrated probability of that and of each emotion.

    `rejected` is empty, or the reason why the prediction is not reliable.
    """

    box: Box
    emotion: str
    confidence: float
    probabilities: dict[str, float]
    rejected: str


def read(picture: Picture, model: str | Path = MODEL, detector: str = detection.YUNET) -> list[Reading]:
    """Return the faces in `picture`, the largest first; see `read_all`."""
    return read_all([picture], model, detector)[0]


def read_all(
    pictures: Sequence[Picture], model: str | Path = MODEL, detector: str = detection.YUNET
) -> list[list[Reading]]:
    """Return the faces in each picture; all are predicted together. Several threads may call it at a time.

    `model` is an .h5 file, an MLflow run or models:/NAME@ALIAS, `detector` "yunet", "haar" or a file, each loaded once.
    Raises PipelineError if a picture cannot be read.
    """
    frames = [_frame(picture) for picture in pictures]
    with _lock:  # a detector has a state
        classifier, detect = _load(str(model), detector)
        found = classifier.faces(frames, [detect(frame) for frame in frames])
    return [[_reading(face, classifier.info.classes) for face in faces] for faces in found]


_lock = Lock()


@cache
def _load(model: str, detector: str) -> tuple[Classifier, Detector]:
    return load_classifier(model), detection.load(detector, when_needed=True)


def _frame(picture: Picture) -> np.ndarray:
    if not isinstance(picture, np.ndarray):
        return media.decode(Path(picture), str(picture))
    if picture.dtype != np.uint8 or not picture.size or picture.shape[2:] not in ((), (3,)) or picture.ndim < 2:
        given = f"an array of {picture.dtype} with the shape {picture.shape}"
        raise PipelineError(f"{given} is no picture; accepted: uint8, (h, w) grey or (h, w, 3) BGR")
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def _reading(face: Face, classes: list[str]) -> Reading:
    emotion, probabilities, rejected = face.prediction
    by_class = dict(zip(classes, probabilities.tolist(), strict=True))
    return Reading(face.box, emotion, by_class[emotion], by_class, rejected)
