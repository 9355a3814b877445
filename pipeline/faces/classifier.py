"""A trained network that answers: from grey faces to emotions, with how sure it is."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.data import batches
from pipeline.faces import detection
from pipeline.metrics import calibration
from pipeline.models import runtimes, saved

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

SMALL = 28
"""Pixels along the side of a face below which no answer is sure."""
SHARPNESS = 0.05
"""... and the sharpness: every image of FER-2013's val that is not blank has more."""


class Answer(NamedTuple):
    """What a network says of a face: the likeliest emotion, all calibrated probabilities, and why it is unsure.

    `doubt` is empty where the answer is sure; else it says "close", "small" or "blurred".
    """

    emotion: str
    probabilities: np.ndarray
    doubt: str

    @property
    def text(self) -> str:
        """Return the emotion, or that there is none to be sure of, with its probability."""
        return f"{'unsure: ' if self.doubt else ''}{self.emotion} {self.probabilities.max():.0%}"


class Face(NamedTuple):
    """A face in a frame, and what the network says of it."""

    box: detection.Box
    answer: Answer

    def shown(self, frame: np.ndarray) -> dict[str, Any]:
        """Return the face in `frame` as gradcam.explained takes it: its truth is not known."""
        emotion, probabilities, doubt = self.answer
        said = {"prediction": emotion, "confidence": float(probabilities.max()), "doubt": doubt}
        return {"pixels": detection.crop(frame, self.box), "truth": None, **said}


class Classifier:
    """A network with what its answers mean."""

    def __init__(self, path: Path, name: str | None = None):
        """Load the .h5 file `path`; raise PipelineError where it holds no network of grey 48x48 faces."""
        self.name = name or str(path)
        self.model = saved.load(path)
        self.info = saved.info(path, self.model.output_shape[-1])
        self._predict = runtimes.compiled(self.model)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return (n, k) calibrated probabilities of (n, 48, 48) uint8 grey faces."""
        raw = self._predict(batches.to_unit(pixels).numpy())
        return calibration.scaled(raw, self.info.temperature)

    def faces(self, frames: list[np.ndarray], boxes: list[list[detection.Box]]) -> list[list[Face]]:
        """Return the faces in the boxes of each (h, w, 3) uint8 frame, blue first; it is asked once for all."""
        cut = [(detection.crop(frame, box), box.side) for frame, of in zip(frames, boxes, strict=True) for box in of]
        answers = iter(self.answers(np.stack([face for face, _ in cut]), [side for _, side in cut]) if cut else [])
        return [[Face(box, next(answers)) for box in of] for of in boxes]

    def answers(self, pixels: np.ndarray, sides: list[int]) -> list[Answer]:
        """Return an answer for each of (n, 48, 48) uint8 grey faces, which had so many pixels along a side before."""
        return [self.answer(*each) for each in zip(pixels, sides, self.probabilities(pixels), strict=True)]

    def answer(self, face: np.ndarray, side: int, probabilities: np.ndarray) -> Answer:
        """Return the answer that (k,) calibrated `probabilities` give for a (48, 48) uint8 face of `side` pixels."""
        emotion = self.info.classes[int(probabilities.argmax())]
        close = probabilities.max() < self.info.threshold
        doubt = "small" if side < SMALL else "blurred" if sharpness(face) < SHARPNESS else "close" if close else ""
        return Answer(emotion, probabilities, doubt)


def sharpness(face: np.ndarray) -> float:
    """Return how fine the finest detail of an (h, w) uint8 face is: its Laplacian's variance over its own.

    Source of the measure: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548; divided by the variance, it does
    not depend on the light. An even face has none.
    """
    variance = float(face.var())
    return float(cv2.Laplacian(face, cv2.CV_32F).var()) / variance if variance else 0.0


def find(where: str, tracking: "str | Tracker | None" = None) -> Classifier:
    """Return the network of an .h5 file, of an MLflow run (its id), `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    `tracking` says where runs and models are looked for: an open tracker, or an option of conf/tracking/;
    params.yaml's without it. Raises PipelineError where there is none.
    """
    path = Path(where)
    if path.suffix == ".h5":
        if not path.is_file():
            raise PipelineError(f"{path} is missing; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS")
        return Classifier(path)
    from pipeline.core import config
    from pipeline.tracking import finding
    from pipeline.tracking.tracker import Tracker

    if not isinstance(tracking, Tracker):
        cfg, _ = config.compose([f"tracking={tracking}"] if tracking else [])
        tracking = Tracker(cfg.tracking)
    with tempfile.TemporaryDirectory() as folder:
        return Classifier(finding.fetch(tracking, where, "model.h5", Path(folder)), where)
