"""The model that MLflow loads and serves: from pictures of any size to predictions.

MLflow calls `_load_pyfunc` to load a logged model, which brings a copy of this module and of all that it imports.
"""

import base64
import io
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowException

from pipeline.core.errors import PipelineError
from pipeline.faces import detection, media
from pipeline.faces.classifier import Classifier
from pipeline.faces.rows import of_frame

COLUMN = "image"


class ServedModel:
    """The object that `mlflow.pyfunc.load_model` and `mlflow models serve` call."""

    def __init__(self, path: Path, detector: str | None = None):
        """Load the .h5 file `path`; `detector` is a name for `detection.load`, which is called when it is needed."""
        self.classifier = Classifier(path)
        self.detector = detection.load(detector, when_needed=True)
        self._lock = Lock()  # the server has several threads, and a detector has a state

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a row for each face, as pipeline.predict writes it, the largest of a picture first.

        `data` is a table with the column image, or a list. Each picture is the bytes of a file, the same in base64, or
        an array of grey levels (h, w) or RGB colours (h, w, 3), whole numbers from 0 to 255. A picture of 48x48 pixels
        is one face, and so is any picture if `params` has whole=True; with largest=True, other faces are left out. A
        row has the number of its picture, from 0. A picture without a face has one row, with the prediction "no face".
        Raises MlflowException if there is no picture, or one cannot be read.
        """
        pictures = list(data[COLUMN]) if isinstance(data, pd.DataFrame) else list(data)
        whole, largest = (bool((params or {}).get(name)) for name in ("whole", "largest"))
        try:
            if not pictures:
                raise PipelineError(f"there is no picture; accepted: one or more, in the column {COLUMN}")
            frames = [_frame(picture, index) for index, picture in enumerate(pictures)]
        except PipelineError as error:  # MLflow's server reports only its own errors to the client
            raise MlflowException.invalid_parameter_value(str(error)) from error
        with self._lock:
            boxes = [(detection.whole if whole else self.detector)(frame)[: 1 if largest else None] for frame in frames]
        predicted = self.classifier.faces(frames, boxes)
        classes = self.classifier.info.classes
        rows = [
            {"picture": index} | row
            for index, faces in enumerate(predicted)
            for row in of_frame("", None, faces, classes)
        ]
        return pd.DataFrame(rows).drop(columns=["file", "frame"])


def _frame(picture: Any, index: int) -> np.ndarray:
    """Return a picture as (h, w, 3) uint8 BGR; `index` is its number in errors."""
    if isinstance(picture, str):
        try:
            picture = base64.b64decode(picture, validate=True)
        except ValueError as error:  # binascii.Error is a ValueError, and characters beyond ASCII raise one
            raise PipelineError(f"picture {index} is neither base64 nor an array: {error}") from error
    if isinstance(picture, bytes):
        return media.decode(io.BytesIO(picture), f"picture {index}")
    accepted = "accepted: (h, w) or (h, w, 3) whole numbers from 0 to 255"
    try:
        levels = np.asarray(picture, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PipelineError(f"picture {index} is not an array of numbers; {accepted}") from error
    if not (levels.ndim == 2 or (levels.ndim == 3 and levels.shape[2] == 3)) or levels.size == 0:
        raise PipelineError(f"picture {index} has the shape {levels.shape}; {accepted}")
    if not np.array_equal(levels, levels.clip(0, 255).round()):
        raise PipelineError(f"picture {index} has fractions, or numbers below 0 or above 255; {accepted}")
    levels = levels.astype(np.uint8)
    return np.ascontiguousarray(levels[:, :, ::-1] if levels.ndim == 3 else levels[:, :, None].repeat(3, axis=2))


def _load_pyfunc(path: str, model_config: dict[str, Any]) -> ServedModel:
    return ServedModel(Path(path, "model.h5"), model_config["detector"])
