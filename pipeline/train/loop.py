"""The training loop: epochs, history, and resumption."""

import json
import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pipeline.core.errors import PipelineError
from pipeline.data import batches, corrupt
from pipeline.data.arrays import Split
from pipeline.train import distillation, normalization, optimizers
from pipeline.train.checkpoint import Checkpoint, State
from pipeline.train.targets import class_weights, targets

if TYPE_CHECKING:
    from pipeline.core.schema import TrainingConfig

SCORING_BATCH = 256
"""Images per batch in validation: larger batches are no faster."""


def trainable(
    model: keras.Model, config: "TrainingConfig", images: int, teachers: list[keras.Model] | None = None
) -> keras.Model:
    """Return a copy of `model` that is compiled for training on `images` images: same layers and weights.

    Its batch normalization is one operation, and with `teachers` it learns their predictions too. Its first
    `train.freeze` layers with weights keep them. With `train.precision` bfloat16, layers compute in it, and weights,
    batch normalization and probabilities are float32 (Micikevicius et al. 2018, arXiv:1710.03740).
    Raises PipelineError if no layer is left to train.
    """
    policy = "mixed_bfloat16" if config.train.precision == "bfloat16" else None

    def copied(layer: keras.Layer) -> keras.Layer:
        return normalization.fused(layer, None if layer is model.layers[-1] else policy)

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    weighted = [layer for layer in copy.layers if layer.weights]
    if config.train.freeze >= len(weighted):
        raise PipelineError(
            f"train.freeze is {config.train.freeze}; accepted: 0 to {len(weighted) - 1}, "
            f"because {config.model.name} has {len(weighted)} layers with weights"
        )
    for layer in weighted[: config.train.freeze]:
        layer.trainable = False
    if teachers:
        copy = distillation.Student(copy, distillation.soft_targets(config.teacher, teachers))
    steps = config.train.epochs * _steps(images, config)
    optimizer = optimizers.build(config.optimizer, config.schedule, steps)
    # Not XLA: on the CPUs tried, it makes the step slower.
    copy.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    optimizer.build(copy.trainable_variables)
    return copy


def fit(
    model: keras.Model,
    train: Split,
    val: Split,
    config: "TrainingConfig",
    checkpoint: Checkpoint,
    on_epoch: Callable[[list[dict[str, float]]], None],
    teachers: list[keras.Model] | None = None,
) -> State:
    """Train `model` and leave it with the weights of the best epoch, or of the last one.

    Resumes from `checkpoint` and keeps it up to date; `on_epoch` gets the history after each epoch. A row of
    the history holds epoch (from 1), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds (with
    validation), images_per_second (without) and time (seconds since 1970).
    Raises PipelineError if the loss is not a finite number, and if the device has too little memory.
    """
    classes, settings = len(config.data.classes), config.train
    trained = _compiled(model, config, len(train), teachers)
    state = checkpoint.restore(trained) or State([], trained.get_weights())
    done = len(state.history)
    if done:
        print(f"resuming after epoch {done} of {settings.epochs}")
    recorder = _Recorder(state, config, len(train), checkpoint, on_epoch)
    if done < settings.epochs and not stops(state.history, settings.patience):
        epochs = range(done + 1, settings.epochs + 1)
        labels = targets(classes, settings.label_smoothing)
        pairs = bool(teachers) and corrupt.corrupts(config.augment)  # teachers see what is not corrupted
        source = batches.training(train, labels, config.augment, settings.batch_size, config.seed, epochs, pairs)
        weights = class_weights(settings.class_weight, np.bincount(train.labels, minlength=classes))
        try:
            trained.fit(
                source if weights is None else _weighted(source, labels, weights),
                steps_per_epoch=_steps(len(train), config),
                validation_data=batches.scoring(val, classes, SCORING_BATCH),
                initial_epoch=done,
                epochs=settings.epochs,
                callbacks=[recorder],
                shuffle=False,  # the batches already come in the order of their epoch
                verbose=1 if sys.stdout.isatty() else 0,
            )
        except tf.errors.ResourceExhaustedError as error:
            raise PipelineError(
                f"the device has too little memory for batches of {settings.batch_size}; lower train.batch_size"
            ) from error
    model.set_weights(recorder.state.best if settings.restore_best else trained.get_weights())
    return recorder.state


class _Reusable(NamedTuple):
    """A compiled model, what its compiled step depends on, and its optimizer's variables before the first step."""

    key: str
    model: keras.Model
    variables: list[np.ndarray]


_last: list[_Reusable] = []
"""The model of the last training of this process: compiling its step takes a second."""


def _compiled(
    model: keras.Model, config: "TrainingConfig", images: int, teachers: list[keras.Model] | None
) -> keras.Model:
    """Return `trainable` of these, or the model of the last training with all its variables set, if its step fits."""
    if teachers:
        return trainable(model, config, images, teachers)
    optimizer = config.optimizer.model_dump()
    constant = config.schedule.name == "constant"
    if constant:  # a variable; schedules are part of the step
        del optimizer["learning_rate"]
    steps = 0 if constant else config.train.epochs * _steps(images, config)
    settings = [optimizer, config.schedule.model_dump(), config.train.precision, config.train.freeze, steps]
    key = json.dumps([model.to_json(), settings])
    if not _last or _last[0].key != key:
        new = trainable(model, config, images)
        _last[:] = [_Reusable(key, new, [variable.numpy() for variable in new.optimizer.variables])]
    last = _last[0]
    last.model.set_weights(model.get_weights())
    for variable, value in zip(last.model.optimizer.variables, last.variables, strict=True):
        variable.assign(value)
    if constant:
        last.model.optimizer.learning_rate = config.optimizer.learning_rate
    return last.model


def _weighted(source: tf.data.Dataset, labels: np.ndarray, weights: np.ndarray) -> tf.data.Dataset:
    """Return batches of `source` with a weight for each image: that of its class, or the mixture of its classes'.

    The rows of `labels`, (k, k), are what `source` has for each class; `weights` is (k,).
    """
    of_targets = tf.constant(np.linalg.solve(labels.astype(np.float64), weights), tf.float32)
    return source.map(lambda images, targets: (images, targets, tf.linalg.matvec(targets, of_targets)))


def stops(history: list[dict[str, float]], patience: int | None) -> bool:
    """Return whether the last `patience` epochs have not reached a higher val accuracy; None never stops."""
    return bool(patience and history) and len(history) - best_epoch(history) >= (patience or 0)


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make the dropout of an epoch depend only on `seed` and the epoch's number, like the order of the images."""
    for place, layer in enumerate(model.layers):
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:  # Keras gives a rate of 0 no seed
            layer.seed_generator.state.assign([(seed + place) % 2**32, epoch << 16])


def best_epoch(history: list[dict[str, float]]) -> int:
    """Return the number of the first epoch with the highest val accuracy."""
    return int(max(history, key=lambda row: (row["val_accuracy"], -row["epoch"]))["epoch"])


def _steps(images: int, config: "TrainingConfig") -> int:
    """Return the number of batches per epoch; the last batch may be smaller."""
    return math.ceil(images / config.train.batch_size)


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the history and the best weights, and saves a checkpoint after each epoch."""

    def __init__(
        self,
        state: State,
        config: "TrainingConfig",
        images: int,
        checkpoint: Checkpoint,
        on_epoch: Callable[[list[dict[str, float]]], None],
    ):
        super().__init__()
        self.state, self.config, self.images = state, config, images
        self.checkpoint, self.on_epoch = checkpoint, on_epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        seed_dropout(self.model, self.config.seed, epoch)
        self.started = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        self.trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in logs.values()):
            raise PipelineError(
                f"the loss is {logs['loss']} in epoch {epoch + 1}: training diverged; "
                "try a lower optimizer.learning_rate"
            )
        row = {"epoch": epoch + 1, **{k: float(logs[k]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        row["seconds"] = time.perf_counter() - self.started
        row["images_per_second"] = self.images / (self.trained - self.started)
        row["time"] = time.time()
        history = [*self.state.history, row]
        best = self.model.get_weights() if best_epoch(history) == row["epoch"] else self.state.best
        self.state = State(history, best)
        self.checkpoint.save(self.model, self.state)
        self.on_epoch(history)
        if not sys.stdout.isatty():
            print(
                "epoch {epoch:2}: loss {loss:.4f}, accuracy {accuracy:.2%}, val loss {val_loss:.4f}, "
                "val accuracy {val_accuracy:.2%}, {seconds:.1f} s".format(**row)
            )
        if stops(history, self.config.train.patience):
            self.model.stop_training = True
            print(f"stopped: no higher val accuracy since epoch {best_epoch(history)}, as train.patience says")
