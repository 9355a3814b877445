"""Teachers: their part in what is learned, and that they learn nothing themselves."""

import hashlib

import keras
import numpy as np
import pytest

from pipeline import models
from pipeline.core import paths
from pipeline.core.schema import Linear, Teacher
from pipeline.models import saved
from pipeline.train import distillation
from tests import hostile

LINEAR = Linear(name="linear")
CLASSES = hostile.FACTS.classes


@pytest.fixture
def networks(tmp_path, monkeypatch) -> dict[str, str]:
    """Return two networks of a checkout, each with its SHA-256."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    made = {}
    for name in ("one.h5", "two.h5"):
        saved.save(models.build(LINEAR, 3), tmp_path / name, hostile.FACTS)
        made[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    return made


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.random((12, 48, 48, 1), dtype=np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 12)]


def said(networks: dict[str, str], images: np.ndarray) -> np.ndarray:
    return sum(saved.load(paths.ROOT / name).predict(images, verbose=0) for name in networks) / len(networks)


def test_teachers_have_their_share_in_the_mean(networks, batch):
    images, labels = batch
    found = distillation.teach(Teacher(networks=networks, share=0.4, mirror=False), CLASSES)(images, labels)
    np.testing.assert_allclose(found, 0.6 * labels + 0.4 * said(networks, images), atol=1e-6)


def test_teachers_see_the_mirror_image_too(networks, batch):
    images, labels = batch
    found = distillation.teach(Teacher(networks=networks, share=1.0, mirror=True), CLASSES)(images, labels)
    mirrored = said(networks, images[:, :, ::-1])
    assert np.abs(mirrored - said(networks, images)).max() > 1e-3
    np.testing.assert_allclose(found, (said(networks, images) + mirrored) / 2, atol=1e-6)


def test_the_loss_is_that_of_the_taught_labels_in_training_and_of_the_labels_on_val(networks, batch):
    images, labels = batch
    teach = distillation.teach(Teacher(networks=networks, share=0.4, mirror=False), CLASSES)
    taught = distillation.Student(models.build(LINEAR, 3), teach)
    taught.compile(keras.optimizers.SGD(0.0), loss="categorical_crossentropy", metrics=["accuracy"])
    answers = taught.predict(images, verbose=0)

    def loss(wanted: np.ndarray) -> float:
        return float(-np.sum(wanted * np.log(answers), axis=1).mean())

    right = float((answers.argmax(1) == labels.argmax(1)).mean())
    trained = taught.train_on_batch(images, labels, return_dict=True)
    assert trained == pytest.approx({"loss": loss(teach(images, labels).numpy()), "accuracy": right}, rel=1e-5)
    assert taught.test_on_batch(images, labels, return_dict=True)["loss"] == pytest.approx(loss(labels), rel=1e-5)


def test_a_teacher_does_not_learn(networks, batch):
    taught = distillation.Student(
        models.build(LINEAR, 3), distillation.teach(Teacher(networks=networks, share=1.0, mirror=False), CLASSES)
    )
    assert len(taught.weights) == len(models.build(LINEAR, 3).weights)
    before = taught.teach(*batch).numpy()
    taught.compile(keras.optimizers.SGD(1.0), loss="categorical_crossentropy")
    taught.train_on_batch(*batch)
    np.testing.assert_array_equal(taught.teach(*batch), before)


@pytest.mark.parametrize(("networks", "share"), [({}, 0.5), ({"a.h5": "0" * 64}, 0.0)])
def test_a_share_without_a_network_is_refused_and_the_other_way_round(networks, share):
    with pytest.raises(ValueError, match="accepted: a share above 0 of one network or more, or neither"):
        Teacher(networks=networks, share=share, mirror=False)
