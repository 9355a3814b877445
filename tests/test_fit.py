"""Training: the record, the kept epoch, divergence, and going on from a checkpoint."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import models
from pipeline.core import runtime
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Adam, AdamW, Constant, Cosine, Optimizer, Schedule, SeedCnn, Train
from pipeline.data.arrays import Split
from pipeline.train import fit
from pipeline.train.checkpoint import Checkpoint
from tests.recipes import AFFINE, NO_TEACHER

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
    keep="last",
    learning_rate=0.01,
    stop_after=None,
    seen=None,
    optimizer: Optimizer = ADAM,
    schedule: Schedule = CONSTANT,
):
    """Train a small network of the seed's shape; return it and the state."""
    runtime.deterministic(7)
    model = models.build(SeedCnn(name="seed_cnn", filters=4, dense=[8, 8, 4], dropout=0.3), 2)

    def on_epoch(history):
        if seen is not None:
            seen.append(history[-1]["epoch"])
        if len(history) == stop_after:
            raise KeyboardInterrupt

    settings = Train(epochs=epochs, batch_size=16, keep=keep, label_smoothing=0.0)
    optimizer = optimizer.model_copy(update={"learning_rate": learning_rate})
    recipe = fit.TrainingConfig(["happy", "sad"], AFFINE, optimizer, schedule, NO_TEACHER, settings, 7)
    return model, fit.fit(model, *splits, recipe, checkpoint, on_epoch)


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
def test_going_on_gives_the_same_bits_as_never_stopping(splits, tmp_path, optimizer, schedule):
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


def test_the_best_epoch_is_kept(splits, tmp_path):
    kept, state = train(splits, Checkpoint(tmp_path / "best"), epochs=5, keep="best", learning_rate=0.03)
    epoch = fit.kept_epoch(state.history, "best")
    until, _ = train(splits, Checkpoint(tmp_path / "until"), epochs=epoch, learning_rate=0.03)
    for a, b in zip(kept.get_weights(), until.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_equally_good_epochs_the_first_is_kept():
    history = [{"epoch": i + 1, "val_accuracy": v} for i, v in enumerate([0.2, 0.5, 0.5, 0.4])]
    assert fit.kept_epoch(history, "best") == 2
    assert fit.kept_epoch(history, "last") == 4


def test_divergence_stops_with_a_clear_error(splits, tmp_path):
    with pytest.raises(PipelineError, match=r"diverged.*learning_rate"):
        train(splits, Checkpoint(tmp_path / "c"), epochs=5, learning_rate=1e30)


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
