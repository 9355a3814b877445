"""The training loop: epochs, history, and resumption."""

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from pipeline.core.errors import PipelineError
from pipeline.data import batches
from pipeline.data.arrays import Split
from pipeline.train import distillation, normalization, optimizers
from pipeline.train.checkpoint import Checkpoint, State
from pipeline.train.targets import targets

if TYPE_CHECKING:
    from pipeline.core.schema import TrainingConfig

SCORING_BATCH = 256
"""Images per batch in validation: larger batches are no faster."""


def trainable(
    model: keras.Model, config: "TrainingConfig", images: int, teachers: list[keras.Model] | None = None
) -> keras.Model:
    """Return a copy of `model` that is compiled for training on `images` images: same layers and weights.

    Its batch normalization is one operation, and with `teachers` it learns their predictions too.
    """
    copy = keras.models.clone_model(model, clone_function=normalization.fused)
    copy.set_weights(model.get_weights())
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
    Raises PipelineError if the loss is not a finite number.
    """
    classes, settings = len(config.data.classes), config.train
    trained = trainable(model, config, len(train), teachers)
    state = checkpoint.restore(trained) or State([], trained.get_weights())
    done = len(state.history)
    if done:
        print(f"resuming after epoch {done} of {settings.epochs}")
    recorder = _Recorder(state, config.seed, len(train), checkpoint, on_epoch)
    if done < settings.epochs:
        epochs = range(done + 1, settings.epochs + 1)
        labels = targets(classes, settings.label_smoothing)
        trained.fit(
            batches.training(train, labels, config.augment, settings.batch_size, config.seed, epochs),
            steps_per_epoch=_steps(len(train), config),
            validation_data=batches.scoring(val, classes, SCORING_BATCH),
            initial_epoch=done,
            epochs=settings.epochs,
            callbacks=[recorder],
            shuffle=False,  # the batches already come in the order of their epoch
            verbose=1 if sys.stdout.isatty() else 0,
        )
    model.set_weights(recorder.state.best if settings.restore_best else trained.get_weights())
    return recorder.state


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

    def __init__(self, state: State, seed: int, images: int, checkpoint: Checkpoint, on_epoch: Callable[..., None]):
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
        best = self.model.get_weights() if best_epoch(history) == row["epoch"] else self.state.best
        self.state = State(history, best)
        self.checkpoint.save(self.model, self.state)
        self.on_epoch(history)
        if not sys.stdout.isatty():
            print(
                "epoch {epoch:2}: loss {loss:.4f}, accuracy {accuracy:.2%}, val loss {val_loss:.4f}, "
                "val accuracy {val_accuracy:.2%}, {seconds:.1f} s".format(**row)
            )
