"""Training: the history, the best epoch, divergence, and resuming from a checkpoint."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import models
from pipeline.core import runtime
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Adam, AdamW, Constant, Cosine, Optimizer, Schedule, Train, TrainingConfig, TrainingData
from pipeline.data.arrays import Split
from pipeline.models.seed_cnn import Options
from pipeline.train import loop
from pipeline.train.checkpoint import Checkpoint
from tests.settings import AFFINE, NO_TEACHER

pytestmark = pytest.mark.slow

ADAM = Adam(name="adam", learning_rate=0.01, beta_1=0.9, beta_2=0.999)
CONSTANT = Constant(name="constant")


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split]:
    """Return 40 and 12 images that are brighter for one class than for the other."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = np.arange(n) % 2
        pixels = (rng.integers(0, 120, (n, 48, 48)) + 120 * labels[:, None, None]).astype(np.uint8)
        return Split(pixels, np.arange(n), labels)

    return split(40), split(12)


def train(
    splits,
    checkpoint,
    epochs=3,
    restore_best=False,
    dense=(16,),
    learning_rate=0.01,
    stop_after=None,
    seen=None,
    optimizer: Optimizer = ADAM,
    schedule: Schedule = CONSTANT,
):
    """Train a small network of the seed's shape; return it and the state."""
    runtime.deterministic(7)
    options = Options(name="seed_cnn", filters=4, dense=list(dense), dropout=0.3)
    model = models.build(options, 2)

    def on_epoch(history):
        if seen is not None:
            seen.append(history[-1]["epoch"])
        if len(history) == stop_after:
            raise KeyboardInterrupt

    config = TrainingConfig(
        data=TrainingData(name="fer2013", classes=["happy", "sad"]),
        augment=AFFINE,
        model=options,
        optimizer=optimizer.model_copy(update={"learning_rate": learning_rate}),
        schedule=schedule,
        teacher=NO_TEACHER,
        seed=7,
        train=Train(epochs=epochs, batch_size=16, restore_best=restore_best, label_smoothing=0.0),
    )
    return model, loop.fit(model, *splits, config, checkpoint, on_epoch)


@pytest.fixture
def misleading(splits) -> tuple[Split, Split]:
    """Return `splits` with the labels of val swapped: learning lowers the accuracy, so an early epoch is best."""
    train, val = splits
    return train, Split(val.pixels, val.rows, 1 - val.labels)


@pytest.fixture(scope="module")
def begun(splits, tmp_path_factory) -> Path:
    """Return the folder of a checkpoint after one epoch."""
    folder = tmp_path_factory.mktemp("begun") / "c"
    train(splits, Checkpoint(folder), epochs=1)
    return folder


def numbers(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second", "time")} for row in history]


def test_it_learns_and_records_every_epoch(splits, tmp_path):
    _, state = train(splits, Checkpoint(tmp_path / "c"), epochs=8)
    assert [row["epoch"] for row in state.history] == list(range(1, 9))
    assert state.history[-1]["val_accuracy"] > 0.9
    assert set(state.history[0]) == {
        *("epoch", "loss", "accuracy", "val_loss", "val_accuracy"),
        *("learning_rate", "seconds", "images_per_second", "time"),
    }
    assert all(row["images_per_second"] > 0 for row in state.history)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        (ADAM, CONSTANT),
        (AdamW(**ADAM.model_dump() | {"name": "adamw", "weight_decay": 0.1}), Cosine(name="cosine", warmup=0.3)),
    ],
)
def test_resuming_gives_the_same_bits_as_never_stopping(splits, tmp_path, optimizer, schedule):
    settings = {"epochs": 4, "optimizer": optimizer, "schedule": schedule}
    whole, whole_state = train(splits, Checkpoint(tmp_path / "whole"), **settings)
    with pytest.raises(KeyboardInterrupt):
        train(splits, Checkpoint(tmp_path / "halved"), **settings, stop_after=2)
    seen = []
    halved, halved_state = train(splits, Checkpoint(tmp_path / "halved"), **settings, seen=seen)
    assert seen == [3, 4]
    assert numbers(halved_state.history) == numbers(whole_state.history)
    for a, b in zip(whole.get_weights(), halved.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_restore_best_leaves_the_weights_of_the_best_epoch(misleading, tmp_path):
    best, state = train(misleading, Checkpoint(tmp_path / "best"), epochs=5, restore_best=True, learning_rate=0.03)
    epoch = loop.best_epoch(state.history)
    assert epoch < 5, "the last epoch would show nothing"
    until, _ = train(misleading, Checkpoint(tmp_path / "until"), epochs=epoch, learning_rate=0.03)
    for a, b in zip(best.get_weights(), until.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_resumed_after_its_best_epoch_still_restores_it(misleading, tmp_path):
    settings = {"epochs": 5, "restore_best": True, "learning_rate": 0.03}
    whole, state = train(misleading, Checkpoint(tmp_path / "whole"), **settings)
    epoch = loop.best_epoch(state.history)
    assert epoch < 4, "a later epoch must be in the checkpoint, and another one be left"
    with pytest.raises(KeyboardInterrupt):
        train(misleading, Checkpoint(tmp_path / "resumed"), **settings, stop_after=epoch + 1)
    resumed, _ = train(misleading, Checkpoint(tmp_path / "resumed"), **settings)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_equally_good_epochs_the_first_is_the_best():
    history = [{"epoch": i + 1, "val_accuracy": v} for i, v in enumerate([0.2, 0.5, 0.5, 0.4])]
    assert loop.best_epoch(history) == 2


def test_divergence_stops_with_a_clear_error(splits, tmp_path):
    with pytest.raises(PipelineError, match=r"diverged.*learning_rate"):
        train(splits, Checkpoint(tmp_path / "c"), epochs=5, learning_rate=1e30, dense=(8, 8, 4))


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:2000] + b"\x00" * 64 + b[2064:]]
)
def test_a_damaged_checkpoint_is_told_and_training_starts_again(splits, begun, tmp_path, capsys, damage):
    shutil.copytree(begun, tmp_path / "c")
    file = tmp_path / "c/state.npz"
    file.write_bytes(damage(file.read_bytes()))
    seen = []
    train(splits, Checkpoint(tmp_path / "c"), epochs=2, seen=seen)
    assert seen == [1, 2]
    assert "damaged" in capsys.readouterr().out
