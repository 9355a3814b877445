"""Training: the history, the best epoch, divergence, and resuming from a checkpoint."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.core.errors import PipelineError
from pipeline.core.schema import AdamW, Cosine
from pipeline.data.arrays import Split
from pipeline.train import loop
from tests.settings import changed_by
from tests.training import ADAM, CONSTANT, numbers, train, two_classes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split]:
    return two_classes()


@pytest.fixture
def misleading(splits) -> tuple[Split, Split]:
    """Return `splits` with the labels of val swapped: learning lowers the accuracy, so an early epoch is best."""
    train, val = splits
    return train, Split(val.pixels, val.rows, 1 - val.labels)


@pytest.fixture(scope="module")
def begun(splits, tmp_path_factory) -> Path:
    """Return the folder of a checkpoint after one epoch."""
    folder = tmp_path_factory.mktemp("begun") / "c"
    train(splits, folder, epochs=1)
    return folder


def test_it_learns_and_records_every_epoch(splits, tmp_path):
    _, state = train(splits, tmp_path / "c", epochs=8)
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
    whole, whole_state = train(splits, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(splits, tmp_path / "halved", **settings, stop_after=2)
    seen = []
    halved, halved_state = train(splits, tmp_path / "halved", **settings, seen=seen)
    assert seen == [3, 4]
    assert numbers(halved_state.history) == numbers(whole_state.history)
    for a, b in zip(whole.get_weights(), halved.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_student_of_corrupted_images_resumes_with_the_same_bits(splits, tmp_path):
    teacher, _ = train(splits, tmp_path / "teacher", epochs=1)
    settings = {
        "epochs": 2,
        "teachers": [teacher],
        "augment": changed_by(interpolation="bicubic", rotation=9.0, noise=0.5),
    }
    whole, state = train(splits, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(splits, tmp_path / "halved", **settings, stop_after=1)
    halved, _ = train(splits, tmp_path / "halved", **settings)
    for a, b in zip(whole.get_weights(), halved.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(np.isfinite(row["loss"]) for row in state.history)


def test_restore_best_leaves_the_weights_of_the_best_epoch(misleading, tmp_path):
    best, state = train(misleading, tmp_path / "best", epochs=5, restore_best=True, learning_rate=0.03)
    epoch = loop.best_epoch(state.history)
    assert epoch < 5, "the last epoch would show nothing"
    until, _ = train(misleading, tmp_path / "until", epochs=epoch, learning_rate=0.03)
    for a, b in zip(best.get_weights(), until.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_resumed_after_its_best_epoch_still_restores_it(misleading, tmp_path):
    settings = {"epochs": 5, "restore_best": True, "learning_rate": 0.03}
    whole, state = train(misleading, tmp_path / "whole", **settings)
    epoch = loop.best_epoch(state.history)
    assert epoch < 4, "a later epoch must be in the checkpoint, and another one be left"
    with pytest.raises(KeyboardInterrupt):
        train(misleading, tmp_path / "resumed", **settings, stop_after=epoch + 1)
    resumed, _ = train(misleading, tmp_path / "resumed", **settings)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_equally_good_epochs_the_first_is_the_best():
    history = [{"epoch": i + 1, "val_accuracy": v} for i, v in enumerate([0.2, 0.5, 0.5, 0.4])]
    assert loop.best_epoch(history) == 2


def test_divergence_stops_with_a_clear_error(splits, tmp_path):
    with pytest.raises(PipelineError, match=r"diverged.*learning_rate"):
        train(splits, tmp_path / "c", epochs=5, learning_rate=1e30, dense=(8, 8, 4))


def test_too_little_memory_is_answered_with_what_to_lower(splits, tmp_path):
    full = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    with pytest.raises(PipelineError, match=r"too little memory for batches of 16; lower train\.batch_size"):
        train(splits, tmp_path / "c", stop_after=1, error=full)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:2000] + b"\x00" * 64 + b[2064:]]
)
def test_a_damaged_checkpoint_is_told_and_training_starts_again(splits, begun, tmp_path, capsys, damage):
    shutil.copytree(begun, tmp_path / "c")
    file = tmp_path / "c/state.npz"
    file.write_bytes(damage(file.read_bytes()))
    seen = []
    train(splits, tmp_path / "c", epochs=2, seen=seen)
    assert seen == [1, 2]
    assert "damaged" in capsys.readouterr().out
