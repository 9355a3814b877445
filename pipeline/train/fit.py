"""Trains a network: the loop over epochs, its record, and its resumption."""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from pipeline.core.errors import PipelineError
from pipeline.core.schema import Augment, Config, Optimizer, Schedule, Teacher, Train
from pipeline.data import batches
from pipeline.data.arrays import Split
from pipeline.train import distillation, distribute, normalization, optimizers
from pipeline.train.checkpoint import Checkpoint, State
from pipeline.train.targets import targets

SCORING_BATCH = 256
"""Images in a batch where nothing is learned: large enough that more does not help."""


class TrainingConfig(NamedTuple):
    """What emotions a network learns to tell apart, and how."""

    classes: list[str]
    augment: Augment
    optimizer: Optimizer
    schedule: Schedule
    teacher: Teacher
    train: Train
    seed: int

    @classmethod
    def of(cls, cfg: Config) -> "TrainingConfig":
        """Return what `cfg` says of training."""
        return cls(cfg.data.classes, *(getattr(cfg, name) for name in cls._fields[1:]))

    def steps(self, images: int) -> int:
        """Return how many batches hold `images` images; the last one may be smaller."""
        return math.ceil(images / self.train.batch_size)


def trainable(model: keras.Model, recipe: TrainingConfig, images: int, devices: tuple[str, ...] = ()) -> keras.Model:
    """Return a copy of `model` that is compiled to be trained on `images` images: same layers and weights.

    It trains on all of `devices`, where two or more are named, computes its batch normalization in one operation, and
    is taught where the recipe has a teacher.
    """
    strategy = distribute.strategy(devices)
    with strategy.scope() if strategy else contextlib.nullcontext():
        copy = keras.models.clone_model(model, clone_function=normalization.fused)
        copy.set_weights(model.get_weights())
        if recipe.teacher.networks:
            copy = distillation.Student(copy, distillation.teach(recipe.teacher, recipe.classes))
        optimizer = optimizers.build(recipe.optimizer, recipe.schedule, recipe.train.epochs * recipe.steps(images))
        loss = distribute.Loss() if strategy else "categorical_crossentropy"
        # Not XLA: where it was tried on a CPU, the step was slower.
        copy.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
        optimizer.build(copy.trainable_variables)
    if strategy:
        print(f"{strategy.num_replicas_in_sync} devices share each batch")
    return copy


def fit(
    model: keras.Model,
    train: Split,
    val: Split,
    recipe: TrainingConfig,
    checkpoint: Checkpoint,
    on_epoch: Callable[[list[dict[str, float]]], None],
    devices: tuple[str, ...] = (),
) -> State:
    """Train `model`, on several `devices` where they are named; leave it with the kept epoch's weights.

    Goes on from `checkpoint` and keeps it up to date; `on_epoch` gets the history after each epoch. A row of
    the history holds epoch (from 1), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds (with
    validation), images_per_second (without) and time (seconds since 1970).
    Raises PipelineError where the loss is no longer a finite number.
    """
    classes, settings = len(recipe.classes), recipe.train
    trained = trainable(model, recipe, len(train), devices)
    state = checkpoint.restore(trained) or State([], trained.get_weights())
    done = len(state.history)
    if done:
        print(f"goes on after epoch {done} of {settings.epochs}")
    scored = distribute.even(len(val), SCORING_BATCH) if len(devices) > 1 else SCORING_BATCH
    recorder = _Recorder(state, recipe.seed, len(train), checkpoint, on_epoch)
    if done < settings.epochs:
        epochs = range(done + 1, settings.epochs + 1)
        labels = targets(classes, settings.label_smoothing)
        trained.fit(
            batches.training(train, labels, recipe.augment, settings.batch_size, recipe.seed, epochs),
            steps_per_epoch=recipe.steps(len(train)),
            validation_data=batches.scoring(val, classes, scored),
            initial_epoch=done,
            epochs=settings.epochs,
            callbacks=[recorder],
            shuffle=False,  # the batches come in the order of their epoch already
            verbose=1 if sys.stdout.isatty() else 0,
        )
    model.set_weights(recorder.state.best if settings.keep == "best" else trained.get_weights())
    return recorder.state


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make the dropout of an epoch depend on `seed` and its number alone, like the order of the images.

    Each of several devices drops other units.
    """
    states = model.distribute_strategy.experimental_local_results
    for place, layer in enumerate(model.layers):
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:  # Keras gives one of 0 no seed
            for device, state in enumerate(states(layer.seed_generator.state.value)):
                state.assign([(seed + place + 1000 * device) % 2**32, epoch << 16])


def kept_epoch(history: list[dict[str, float]], keep: str) -> int:
    """Return the number of the epoch whose weights are kept: the first of highest val accuracy, or the last."""
    if keep == "last":
        return len(history)
    return max(history, key=lambda row: (row["val_accuracy"], -row["epoch"]))["epoch"]


class _Recorder(keras.callbacks.Callback):
    """Keeps the history and the best weights, and saves a checkpoint after each epoch."""

    def __init__(self, state: State, seed: int, images: int, checkpoint: Checkpoint, on_epoch: Callable):
        super().__init__()
        self.state, self.seed, self.images = state, seed, images
        self.checkpoint, self.on_epoch = checkpoint, on_epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        seed_dropout(self.model, self.seed, epoch)
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
        best = self.model.get_weights() if kept_epoch(history, "best") == row["epoch"] else self.state.best
        self.state = State(history, best)
        self.checkpoint.save(self.model, self.state)
        self.on_epoch(history)
        if not sys.stdout.isatty():
            print(
                "epoch {epoch:2}: loss {loss:.4f}, accuracy {accuracy:.2%}, val loss {val_loss:.4f}, "
                "val accuracy {val_accuracy:.2%}, {seconds:.1f} s".format(**row)
            )
