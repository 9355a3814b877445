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
OPTIONS = ("whole", "largest")
"""The parameters of a request, each true or false."""
MAX_PIXELS = 36_000_000
"""Pixels of all pictures of a request: all are in memory at a time, with 3 bytes each."""


class ServedModel:
    """The object that `mlflow.pyfunc.load_model` and `mlflow models serve` call."""

    def __init__(self, path: Path, detector: str | None = None):
        """Load the .h5 file `path`; `detector` is a name for `detection.load`, which is called when it is needed."""
        self.classifier = Classifier(path)
        self.detector = detection.load(detector, when_needed=True)
        self._lock = Lock()  # the server has several threads, and a detector has a state

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a table of `rows`, for the pictures in `data`: a table with the column image, or a list.

        Raises MlflowException, the only error that MLflow's server reports to the client, where `rows` raises an error.
        """
        pictures = data[COLUMN] if isinstance(data, pd.DataFrame) else data
        try:
            rows = self.rows(list(pictures), **{name: bool((params or {}).get(name)) for name in OPTIONS})
        except PipelineError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame(rows)

    def rows(self, pictures: list[Any], whole: bool = False, largest: bool = False) -> list[dict[str, Any]]:
        """Return a row for each face, as pipeline.predict writes it, the largest of a picture first.

        Each picture is the bytes of a file, the same in base64, or an array of grey levels (h, w) or RGB colours
        (h, w, 3), whole numbers from 0 to 255. A picture of 48x48 pixels is one face, and so is any picture if `whole`;
        with `largest`, other faces are left out. A row has the number of its picture, from 0. A picture without a face
        has one row, with the prediction "no face". Raises PipelineError if there is no picture, one cannot be read, or
        they have more than MAX_PIXELS pixels.
        """
        if not pictures:
            raise PipelineError(f"there is no picture; accepted: one or more, in the column {COLUMN}")
        frames: list[np.ndarray] = []
        for index, picture in enumerate(pictures):
            left = MAX_PIXELS - sum(frame.size // 3 for frame in frames)
            frames.append(_frame(picture, f"picture {index}", left))
        with self._lock:
            boxes = [(detection.whole if whole else self.detector)(frame)[: 1 if largest else None] for frame in frames]
        predicted = self.classifier.faces(frames, boxes)
        classes = self.classifier.info.classes
        rows = [
            {"picture": index} | row
            for index, faces in enumerate(predicted)
            for row in of_frame("", None, faces, classes)
        ]
        return [{key: row[key] for key in row if key not in ("file", "frame")} for row in rows]


def _frame(picture: Any, name: str, largest: int) -> np.ndarray:
    """Return a picture of at most `largest` pixels as (h, w, 3) uint8 BGR; `name` is its name in errors."""
    if isinstance(picture, str):
        try:
            picture = _bytes(picture)
        except ValueError as error:  # binascii.Error is a ValueError, and characters beyond ASCII raise one
            raise PipelineError(f"{name} is neither base64 nor an array: {error}") from error
    if isinstance(picture, bytes):
        return media.decode(io.BytesIO(picture), name, largest)
    accepted = "accepted: (h, w) or (h, w, 3) whole numbers from 0 to 255"
    try:
        levels = np.asarray(picture, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PipelineError(f"{name} is not an array of numbers; {accepted}") from error
    if not (levels.ndim == 2 or (levels.ndim == 3 and levels.shape[2] == 3)) or levels.size == 0:
        raise PipelineError(f"{name} has the shape {levels.shape}; {accepted}")
    with np.errstate(invalid="ignore"):
        pixels = levels.astype(np.uint8)
    if not np.array_equal(pixels, levels):
        raise PipelineError(f"{name} has fractions, or numbers below 0 or above 255; {accepted}")
    return np.ascontiguousarray(pixels[:, :, ::-1] if pixels.ndim == 3 else pixels[:, :, None].repeat(3, axis=2))


def _bytes(text: str) -> bytes:
    """Return what `text` encodes: base64, also as the address data:...;base64,..., in lines, url-safe or unpadded."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _load_pyfunc(path: str, model_config: dict[str, Any]) -> ServedModel:
    return ServedModel(Path(path, "model.h5"), model_config["detector"])
