"""A small training: two classes, a network of the seed's shape, and what a test changes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline import models
from pipeline.core import runtime
from pipeline.core.schema import (
    Adam,
    Augment,
    Constant,
    Optimizer,
    Schedule,
    Teacher,
    Train,
    TrainingConfig,
    TrainingData,
)
from pipeline.data.arrays import Split
from pipeline.models.seed_cnn import Options
from pipeline.train import loop
from pipeline.train.checkpoint import Checkpoint, State
from tests.settings import AFFINE, NO_TEACHER, TRAIN

ADAM = Adam(name="adam", learning_rate=0.01, beta_1=0.9, beta_2=0.999, clip_norm=None)
CONSTANT = Constant(name="constant")


def two_classes() -> tuple[Split, Split]:
    """Return 40 and 12 images that are brighter for one class than for the other."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = np.arange(n) % 2
        pixels = (rng.integers(0, 120, (n, 48, 48)) + 120 * labels[:, None, None]).astype(np.uint8)
        return Split(pixels, np.arange(n), labels)

    return split(40), split(12)


def train(
    splits: tuple[Split, Split],
    folder: Path,
    dense: tuple[int, ...] = (16,),
    learning_rate: float = 0.01,
    stop_after: int | None = None,
    error: BaseException | type[BaseException] = KeyboardInterrupt,
    seen: list[float] | None = None,
    optimizer: Optimizer = ADAM,
    schedule: Schedule = CONSTANT,
    augment: Augment = AFFINE,
    teachers: list[keras.Model] | None = None,
    **settings: Any,
) -> tuple[keras.Model, State]:
    """Train a small network of the seed's shape with the checkpoint in `folder`; return it and the state.

    `settings` are keys of `train`, by default three epochs. After `stop_after` epochs, `error` is raised.
    """
    runtime.deterministic(7)
    options = Options(name="seed_cnn", filters=4, dense=list(dense), dropout=0.3)
    model = models.build(options, 2)

    def on_epoch(history: list[dict[str, float]]) -> None:
        if seen is not None:
            seen.append(history[-1]["epoch"])
        if len(history) == stop_after:
            raise error

    config = TrainingConfig(
        data=TrainingData(name="fer2013", classes=["happy", "sad"]),
        augment=augment,
        model=options,
        optimizer=optimizer.model_copy(update={"learning_rate": learning_rate}),
        schedule=schedule,
        teacher=Teacher(models={"teacher.h5": "0" * 64}, share=0.5, flip=False) if teachers else NO_TEACHER,
        seed=7,
        train=Train(**TRAIN | {"epochs": 3} | settings),
    )
    return model, loop.fit(model, *splits, config, Checkpoint(folder), on_epoch, teachers)


def numbers(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the rows of `history` without what a clock says."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second", "time")} for row in history]
