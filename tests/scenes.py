"""Frames and videos with synthetic faces, and a model whose predictions are simple."""

from pathlib import Path

import cv2
import keras
import numpy as np

from pipeline.core.constants import EMOTIONS
from pipeline.download import synthetic
from pipeline.faces.classifier import Classifier
from pipeline.models import saved
from pipeline.predict import output

SIDE = 120


def scene(places: list[tuple[int, int]], seed: int = 3, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Return a grey BGR frame with a synthetic face of 120 pixels at each of `places` (x, y)."""
    frame = np.full((*size, 3), 150, np.uint8)
    rng = np.random.default_rng(seed)
    for (x, y), face in zip(places, synthetic.render(np.zeros(len(places), int), rng), strict=True):
        large = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        frame[y : y + SIDE, x : x + SIDE] = large[:, :, None]
    return frame


def clip(path, frames: int) -> None:
    """Write a video in which a synthetic face moves."""
    video = output.Video(path, 25)
    for i in range(frames):
        video.write(scene([(200 + 2 * i, 150)]))
    video.finish()


def grey_classifier(folder: Path) -> Classifier:
    """Return a model that predicts by the mean grey of a face: angry if dark, happy if light."""
    net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    kernel, bias = np.zeros((48 * 48, 7), np.float32), np.full(7, -3, np.float32)
    kernel[:, 0], kernel[:, 3], bias[0], bias[3] = -8 / 48**2, 8 / 48**2, 4, -4
    net.set_weights([kernel, bias])
    path = folder / "model.h5"
    saved.save(net, path, saved.ModelInfo(list(EMOTIONS), 1.5, 0.7))
    return Classifier(path)
