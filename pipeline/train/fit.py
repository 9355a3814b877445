"""From a configuration and a dataset to a trained model: everything that decides its weights is called from here."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from pipeline import models
from pipeline.core import runtime
from pipeline.core.errors import PipelineError
from pipeline.data import arrays
from pipeline.metrics import calibration, inference
from pipeline.models import saved
from pipeline.models.saved import ModelInfo
from pipeline.train import loop
from pipeline.train.checkpoint import Checkpoint
from pipeline.train.initial import start_from

if TYPE_CHECKING:
    from pipeline.core.schema import TrainingConfig


class Fitted(NamedTuple):
    """A trained model, the history of its epochs, the epoch of its weights, and its predictions of val.

    `probabilities` are (n, k) float32, not calibrated, `labels` (n,).
    """

    model: keras.Model
    info: ModelInfo
    history: list[dict[str, float]]
    epoch: int
    probabilities: np.ndarray
    labels: np.ndarray


def fit(
    config: "TrainingConfig",
    dataset: Path,
    checkpoint: Checkpoint,
    on_epoch: Callable[[list[dict[str, float]]], None],
    root: Path,
    initial: Path | None,
) -> Fitted:
    """Train the model of `config` on the arrays in `dataset`, resuming from `checkpoint`.

    `on_epoch` gets the history after each epoch. Teachers are files below `root`; `initial` is the .h5 file of the
    model that `train.init` names. Raises PipelineError if a teacher is another file or has other classes, `initial` has
    another architecture, and the loss is not a finite number.
    """
    classes = config.data.classes
    train, val = (arrays.load(dataset, split, classes) for split in ("train", "val"))
    runtime.deterministic(config.seed)
    model = models.build(config.model, len(classes))
    if initial:
        _load_initial(model, initial, classes)
    teachers = saved.load_pinned(config.teacher.models, classes, root)
    state = loop.fit(model, train, val, config, checkpoint, on_epoch, teachers)
    epoch = loop.best_epoch(state.history) if config.train.restore_best else len(state.history)
    probabilities = inference.predict(model, val)
    info = ModelInfo(classes, *calibration.fit(probabilities, val.labels))
    return Fitted(model, info, state.history, epoch, probabilities, val.labels)


def _load_initial(model: keras.Model, file: Path, classes: list[str]) -> None:
    trained = saved.load(file)
    stated = saved.stated(file)
    same = stated is not None and stated.classes == classes
    try:
        start_from(model, trained, same)
    except PipelineError as error:
        raise PipelineError(f"{file} {error}") from error
    print(f"starting from {file.name}" + ("" if same else f", with a new output layer for {', '.join(classes)}"))
