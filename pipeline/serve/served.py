"""The network as MLflow serves it: pictures of any size in, named probabilities out.

MLflow calls `_load_pyfunc` when it loads a model that a training has logged: no code is in the model, only its name.
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
from pipeline.predict import output

COLUMN = "image"


class Served:
    """What `mlflow.pyfunc.load_model` and `mlflow models serve` call."""

    def __init__(self, path: Path):
        """Load the .h5 file `path`."""
        self.network = Classifier(path)
        self.detector = detection.load()
        self._one_at_a_time = Lock()  # the server answers in several threads, and a detector has a state

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a row for each picture: the answer for its largest face, as pipeline.predict writes it.

        `data` is a table with the column image, or a list: each picture the bytes of a file, the same in base64, or an
        array of grey levels (h, w) or colours (h, w, 3; red first), whole numbers from 0 to 255. One of 48x48 pixels,
        or any where `params` has whole=True, is a face as it is. Raises MlflowException where one is no picture, or
        there is none.
        """
        pictures = list(data[COLUMN]) if isinstance(data, pd.DataFrame) else list(data)
        whole = bool((params or {}).get("whole"))
        try:
            if not pictures:
                raise PipelineError(f"there is no picture; accepted: one or more, in the column {COLUMN}")
            frames = [_frame(picture, place) for place, picture in enumerate(pictures)]
        except PipelineError as error:  # MLflow's server tells its client of its own errors alone
            raise MlflowException.invalid_parameter_value(str(error)) from error
        with self._one_at_a_time:
            boxes = [(detection.whole if whole else self.detector)(frame)[:1] for frame in frames]
        found = self.network.faces(frames, boxes)
        rows = [row for faces in found for row in output.rows("", None, faces, self.network.info.classes)]
        return pd.DataFrame(rows).drop(columns=["file", "frame", "face"])


def _frame(picture: Any, place: int) -> np.ndarray:
    """Return a picture as (h, w, 3) uint8, blue first."""
    if isinstance(picture, str):
        try:
            picture = base64.b64decode(picture, validate=True)
        except ValueError as error:  # binascii.Error is one, and so is what a character beyond ASCII raises
            raise PipelineError(f"picture {place} is neither base64 nor an array: {error}") from error
    if isinstance(picture, bytes):
        return media.decode(io.BytesIO(picture), f"picture {place}")
    known = "accepted: (h, w) or (h, w, 3) whole numbers from 0 to 255"
    try:
        levels = np.asarray(picture, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PipelineError(f"picture {place} is no array of numbers; {known}") from error
    if not (levels.ndim == 2 or (levels.ndim == 3 and levels.shape[2] == 3)) or levels.size == 0:
        raise PipelineError(f"picture {place} has the shape {levels.shape}; {known}")
    if not (levels.min() >= 0 and levels.max() <= 255):
        raise PipelineError(f"picture {place} has numbers from {levels.min():g} to {levels.max():g}; {known}")
    grey = levels.astype(np.uint8)
    if (grey != levels).any():
        raise PipelineError(f"picture {place} has fractions; {known}")
    return np.ascontiguousarray(grey[:, :, ::-1] if grey.ndim == 3 else grey[:, :, None].repeat(3, axis=2))


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))
