"""Several devices: the same training as on one.

TensorFlow splits the processor into devices only before its first use, so this file is also a script: run in a
process of its own, it trains on such devices and prints what came out.
"""

import contextlib
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import paths
from pipeline.core.schema import Adam, Constant, Optimizer, Sgd, Teacher, Train
from pipeline.data.arrays import Split
from tests.recipes import AFFINE, NO_TEACHER

pytestmark = pytest.mark.slow

ADAM = Adam(name="adam", learning_rate=0.01, beta_1=0.9, beta_2=0.999)
SGD = Sgd(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=0.0)
CLASSES = ["happy", "sad"]
DEVICES = ("CPU:0", "CPU:1")
CASES = {
    "the last batch is smaller": (ADAM, 8),
    "no batch can be halved": (SGD, 7),
    "a teacher": (SGD, 10),
}
"""Optimizer and batch size, for 37 images: the last batches hold 5 and 2 of them."""
TOLERANCE = 1e-5
"""Relative. The sums are taken in another order: differences up to 7e-7 were seen."""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    """Return what this file prints as a script."""
    command = [sys.executable, "-m", "tests.test_distribute", tmp_path_factory.mktemp("distribute")]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("images", "batch", "share"),
    [(28709, 32, 3), (28709, 64, 4), (37, 7, 2), (37, 8, 3), (36, 8, 4), (3, 8, 3), (37, 6, 1)],
)
def test_as_many_devices_are_used_as_can_share_every_batch(images, batch, share):
    """The last batches hold 5, 37, 2, 5, 4, 3 and 1 of the images."""
    from pipeline.train import distribute

    devices = ("a", "b", "c", "d")
    assert distribute.chosen(devices, (images, batch)) == devices[:share]
    assert distribute.chosen(devices, (28709, 64), (images, batch)) == devices[:share]


def test_no_gpu_means_no_device_and_one_is_enough():
    from pipeline.train import distribute

    assert distribute.chosen((), (37, 8)) == ()
    assert distribute.chosen(("a",), (37, 8)) == ("a",)


@pytest.mark.parametrize(("images", "batch"), [(3589, 240), (256, 256), (257, 129), (13, 13)])
def test_no_batch_of_val_is_small(images, batch):
    from pipeline.train import distribute

    assert distribute.even(images, 256) == batch


@pytest.mark.xdist_group("distribute")
class TestSeveralDevices:
    def test_one_device_or_none_means_no_strategy(self, found):
        assert found["one device"] == [True, True]

    @pytest.mark.parametrize("case", CASES)
    def test_the_curves_and_the_weights_are_those_of_one_device(self, found, case):
        one, several = found[case]
        assert "2 devices share each batch" in several["printed"]
        assert "devices" not in one["printed"]
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(several[key], one[key], rtol=TOLERANCE)
        assert one["loss"][-1] < 0.9 * one["loss"][0]
        assert several["distance"] < TOLERANCE

    def test_a_training_goes_on_with_another_number_of_devices(self, found):
        one, moved = found["moved"]
        assert "goes on after epoch 2 of 3" in moved["printed"]
        np.testing.assert_allclose(moved["loss"], one["loss"], rtol=TOLERANCE)
        assert moved["distance"] < TOLERANCE

    def test_dropout_is_repeatable_whatever_interrupts_it_and_each_devices_own(self, found):
        assert found["same bits"]
        assert found["other units"]


def main(folder: Path) -> None:
    """Train as the tests say, on parts of the processor, and print the outcome as one line of JSON."""
    from pipeline.core import runtime
    from pipeline.train import distribute

    runtime.configure()
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * len(DEVICES))
    found = {"one device": [distribute.strategy(devices) is None for devices in ((), DEVICES[:1])]}
    for case, (optimizer, batch) in CASES.items():
        by = teacher(folder) if case == "a teacher" else NO_TEACHER
        one = trained(folder / f"{batch} on one", optimizer, batch, (), by=by)
        found[case] = outcome(one, one), outcome(trained(folder / f"{batch}", optimizer, batch, DEVICES, by=by), one)
    one = trained(folder / "whole on one", SGD, 7, ())
    trained(folder / "moved", SGD, 7, DEVICES, stop_after=2)
    found["moved"] = outcome(one, one), outcome(trained(folder / "moved", SGD, 7, ()), one)
    found["same bits"], found["other units"] = dropout(folder)
    print(json.dumps(found))


def teacher(folder: Path) -> Teacher:
    """Return a network as teacher, whose answers are not the labels."""
    from pipeline.models import saved

    saved.save(network(), folder / "teacher.h5", saved.ModelInfo(CLASSES, 1.0, 0.0))
    digest = hashlib.sha256((folder / "teacher.h5").read_bytes()).hexdigest()
    return Teacher(networks={str(folder / "teacher.h5"): digest}, share=0.4, mirror=True)


def recipe(optimizer: Optimizer, batch: int, epochs: int, by: Teacher = NO_TEACHER):
    from pipeline.train import fit

    settings = Train(epochs=epochs, batch_size=batch, keep="last", label_smoothing=0.0)
    return fit.TrainingConfig(CLASSES, AFFINE, optimizer, Constant(name="constant"), by, settings, 7)


def network(dropout: float = 0.0):
    """Return a small network."""
    import keras
    from keras import layers

    from pipeline.core import runtime

    runtime.deterministic(7)
    convolution, pool = layers.Conv2D(4, 3, strides=4, activation="relu"), layers.MaxPool2D(3)
    head = layers.Flatten(), layers.Dropout(dropout), layers.Dense(2, activation="softmax")
    return keras.Sequential([keras.Input((48, 48, 1)), convolution, pool, *head])


def trained(
    folder: Path,
    optimizer: Optimizer,
    batch: int,
    devices: tuple[str, ...],
    epochs: int = 3,
    stop_after: int | None = None,
    dropout: float = 0.0,
    by: Teacher = NO_TEACHER,
):
    """Return a network trained on 37 images (val: 13), its history and what was printed; None where it stopped."""
    from pipeline.train import fit
    from pipeline.train.checkpoint import Checkpoint

    def on_epoch(history):
        if len(history) == stop_after:
            raise KeyboardInterrupt

    model, checkpoint = network(dropout), Checkpoint(folder)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(KeyboardInterrupt):
        state = fit.fit(
            model, split(37), split(13), recipe(optimizer, batch, epochs, by), checkpoint, on_epoch, devices
        )
        return model, state.history, printed.getvalue()


def dropout(folder: Path) -> tuple[bool, bool]:
    """Tell whether going on gives the same bits as never stopping, and whether two devices drop other units."""
    import tensorflow as tf

    from pipeline.train import fit

    settings = {"epochs": 2, "dropout": 0.3}
    whole, *_ = trained(folder / "whole", ADAM, 8, DEVICES, **settings)
    trained(folder / "halved", ADAM, 8, DEVICES, **settings, stop_after=1)
    halved, *_ = trained(folder / "halved", ADAM, 8, DEVICES, **settings)
    copies = fit.trainable(network(dropout=0.5), recipe(ADAM, 8, 2), 37, DEVICES)
    fit.seed_dropout(copies, 7, 0)

    @tf.function
    def on_each(training: bool):
        return copies.distribute_strategy.run(lambda: copies(tf.ones((4, 48, 48, 1)), training=training))

    alike = {training: np.array_equal(*on_each(training).values) for training in (False, True)}
    same = all(map(np.array_equal, whole.get_weights(), halved.get_weights()))
    return same, alike == {False: True, True: False}


def split(n: int) -> Split:
    """Return `n` images that are brighter for one class than for the other."""
    rng = np.random.default_rng(n)
    labels = np.arange(n) % 2
    pixels = (rng.integers(0, 120, (n, 48, 48)) + 120 * labels[:, None, None]).astype(np.uint8)
    return Split(pixels, np.arange(n), labels)


def outcome(training, other) -> dict:
    """Return the curves, what was printed, and how far the weights are from those of the `other` training."""
    model, history, printed = training
    pairs = zip(model.get_weights(), other[0].get_weights(), strict=True)
    distance = max(float(np.abs(a - b).max()) for a, b in pairs)
    return {key: [row[key] for row in history] for key in history[0]} | {"distance": distance, "printed": printed}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
