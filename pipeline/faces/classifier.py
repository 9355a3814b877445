"""A trained model applied to faces: from grey pixels to emotions, some of them rejected with a reason."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from pipeline.core import runtime
from pipeline.core.constants import IMAGE_SIZE
from pipeline.faces import detection
from pipeline.faces.sharpness import sharpness
from pipeline.metrics import calibration
from pipeline.models import runtimes, saved

if TYPE_CHECKING:
    import keras

MIN_SIDE = 28
"""Pixels along the side of a face below which its prediction is rejected."""
MIN_SHARPNESS = 0.05
"""Sharpness below which a prediction is rejected: every val image of FER-2013 that is not blank has more."""


Range = tuple[float, float]
"""What black and white are in the images that a model takes."""


class Prediction(NamedTuple):
    """The most probable emotion of a face, the calibrated probabilities (k,), and whether it is rejected.

    `rejected` is empty, or the reason: "low confidence", "small" or "blurred".
    """

    emotion: str
    probabilities: np.ndarray
    rejected: str

    @property
    def text(self) -> str:
        """Return the emotion with its probability, and the reason if it is rejected."""
        reason = f" (rejected: {self.rejected})" if self.rejected else ""
        return f"{self.emotion} {self.probabilities.max():.0%}{reason}"


class Face(NamedTuple):
    """A face in a frame, its prediction, and the number of the person if faces are tracked."""

    box: detection.Box
    prediction: Prediction
    person: int | None = None

    def to_example(self, frame: np.ndarray) -> dict[str, Any]:
        """Return the face in `frame` as gradcam.explain takes it; its true emotion is unknown."""
        emotion, probabilities, rejected = self.prediction
        predicted = {"prediction": emotion, "confidence": float(probabilities.max()), "rejected": rejected}
        return {"pixels": detection.crop(frame, self.box), "truth": None, **predicted}


class Classifier:
    """A trained model, with the classes, temperature and threshold of its predictions."""

    def __init__(
        self, path: Path, name: str | None = None, classes: list[str] | None = None, inputs: Range | None = None
    ):
        """Load the .h5 file `path`, or the .onnx file that was exported from it, which starts faster.

        For a model of another program, `classes` are those of its outputs, in order, and `inputs` is what black and
        white are in its images: by default 0 and 1, or 0 and 255 if it rescales them itself. Raises PipelineError if it
        is not a model of square grey images, or its classes are not known.
        """
        self.path, self.name = path, name or str(path)
        exported = runtimes.load_exported(path) if classes is None and inputs is None else None
        if exported:
            self._predict, self.info = exported
            return
        self.info = saved.info(path, self.model.output_shape[-1], classes)
        self._predict = _scaling(self.model, inputs)

    @cached_property
    def model(self) -> "keras.Model":
        """The Keras model; with an .onnx file, only its Grad-CAM maps need it."""
        runtime.load_tensorflow()
        return saved.load(self.path, any_size=True)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return (n, k) calibrated probabilities of (n, 48, 48) uint8 grey faces."""
        raw = self._predict(runtimes.to_unit(pixels))
        return calibration.scaled(raw, self.info.temperature)

    def faces(self, frames: list[np.ndarray], boxes: list[list[detection.Box]]) -> list[list[Face]]:
        """Return the faces in the boxes of each (h, w, 3) uint8 BGR frame; all are predicted in one batch."""
        crops = [(detection.crop(frame, box), box) for frame, of in zip(frames, boxes, strict=True) for box in of]
        probabilities = self.probabilities(np.stack([crop for crop, _ in crops])) if crops else np.empty((0, 0))
        found = iter([Face(b, self.prediction(c, b.side, p)) for (c, b), p in zip(crops, probabilities, strict=True)])
        return [[next(found) for _ in of] for of in boxes]

    def prediction(self, face: np.ndarray, side: int, probabilities: np.ndarray) -> Prediction:
        """Return the prediction of a (48, 48) uint8 face of `side` pixels with these (k,) calibrated probabilities."""
        emotion = self.info.classes[int(probabilities.argmax())]
        if side < MIN_SIDE:
            rejected = "small"
        elif sharpness(face) < MIN_SHARPNESS:
            rejected = "blurred"
        else:
            rejected = "low confidence" if probabilities.max() < self.info.threshold else ""
        return Prediction(emotion, probabilities, rejected)


def _scaling(model: "keras.Model", inputs: Range | None) -> runtimes.Predict:
    """Return `model` as a function of 48x48 images in [0, 1], which are scaled to its size and range of inputs."""
    side = model.input_shape[1]
    if inputs is None:
        rescales = any(type(layer).__name__ == "Rescaling" for layer in model.layers[:2])
        inputs = (0.0, 255.0) if rescales else (0.0, 1.0)
    black, white = inputs
    predict = runtimes.compile_model(model)
    if (side, black, white) == (IMAGE_SIZE, 0.0, 1.0):
        return predict

    def scaled(images: np.ndarray) -> np.ndarray:
        resized = np.stack([cv2.resize(image, (side, side)) for image in images])[..., None]
        return predict(resized * np.float32(white - black) + np.float32(black))

    return scaled
