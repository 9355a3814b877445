"""Distillation: the soft targets, and that teachers do not learn."""

import hashlib

import keras
import numpy as np
import pytest

from pipeline import models
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Teacher
from pipeline.models import saved
from pipeline.models.linear import Options
from pipeline.train import distillation
from tests import hostile

LINEAR = Options(name="linear")
CLASSES = hostile.FACTS.classes


@pytest.fixture
def teachers(tmp_path) -> list[keras.Model]:
    """Return two models from files that are named with their SHA-256."""
    pinned = {}
    for name in ("one.h5", "two.h5"):
        saved.save(models.build(LINEAR, 3), tmp_path / name, hostile.FACTS)
        pinned[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    return saved.load_pinned(pinned, CLASSES, tmp_path)


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.random((12, 48, 48, 1), dtype=np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 12)]


def settings(share: float, flip: bool = False) -> Teacher:
    return Teacher(models={"one.h5": "0" * 64, "two.h5": "1" * 64}, share=share, flip=flip)


def mean(teachers: list[keras.Model], images: np.ndarray) -> np.ndarray:
    return sum(model.predict(images, verbose=0) for model in teachers) / len(teachers)


def test_a_target_is_the_label_and_the_share_of_the_teachers_mean_prediction(teachers, batch):
    images, labels = batch
    found = distillation.soft_targets(settings(share=0.4), teachers)(images, labels)
    np.testing.assert_allclose(found, 0.6 * labels + 0.4 * mean(teachers, images), atol=1e-5)


def test_with_flip_the_teachers_predict_the_horizontal_flip_too(teachers, batch):
    images, labels = batch
    found = distillation.soft_targets(settings(share=1.0, flip=True), teachers)(images, labels)
    flipped = mean(teachers, images[:, :, ::-1])
    assert np.abs(flipped - mean(teachers, images)).max() > 1e-3
    np.testing.assert_allclose(found, (mean(teachers, images) + flipped) / 2, atol=1e-5)


def test_the_loss_is_that_of_the_soft_targets_in_training_and_of_the_labels_on_val(teachers, batch):
    images, labels = batch
    targets = distillation.soft_targets(settings(share=0.4), teachers)
    student = distillation.Student(models.build(LINEAR, 3), targets)
    student.compile(keras.optimizers.SGD(0.0), loss="categorical_crossentropy", metrics=["accuracy"])
    predicted = student.predict(images, verbose=0)

    def loss(wanted: np.ndarray) -> float:
        return float(-np.sum(wanted * np.log(predicted), axis=1).mean())

    accuracy = float((predicted.argmax(1) == labels.argmax(1)).mean())
    trained = student.train_on_batch(images, labels, return_dict=True)
    assert trained == pytest.approx({"loss": loss(targets(images, labels).numpy()), "accuracy": accuracy}, rel=1e-5)
    assert student.test_on_batch(images, labels, return_dict=True)["loss"] == pytest.approx(loss(labels), rel=1e-5)


def test_of_a_pair_the_student_sees_the_first_image_and_the_teachers_the_second(teachers, batch):
    images, labels = batch
    others = images[::-1].copy()
    targets = distillation.soft_targets(settings(share=0.4), teachers)
    student = distillation.Student(models.build(LINEAR, 3), targets)
    student.compile(keras.optimizers.SGD(0.0), loss="categorical_crossentropy")
    predicted, wanted = student.predict(images, verbose=0), targets(others, labels).numpy()
    expected = float(-np.sum(wanted * np.log(predicted), axis=1).mean())
    assert student.train_on_batch((images, others), labels) == pytest.approx(expected, rel=1e-5)


def test_a_teacher_does_not_learn(teachers, batch):
    targets = distillation.soft_targets(settings(share=1.0), teachers)
    student = distillation.Student(models.build(LINEAR, 3), targets)
    assert len(student.weights) == len(models.build(LINEAR, 3).weights)
    before = targets(*batch).numpy()
    student.compile(keras.optimizers.SGD(1.0), loss="categorical_crossentropy")
    student.train_on_batch(*batch)
    np.testing.assert_array_equal(targets(*batch), before)


def test_a_teacher_that_is_another_file_is_refused(teachers, tmp_path):
    with pytest.raises(PipelineError, match="is another file than the configuration names"):
        saved.load_pinned({"one.h5": "0" * 64}, CLASSES, tmp_path)


@pytest.mark.parametrize(("pinned", "share"), [({}, 0.5), ({"a.h5": "0" * 64}, 0.0)])
def test_a_share_without_a_model_is_refused_and_the_other_way_round(pinned, share):
    with pytest.raises(ValueError, match="accepted: a share above 0 and one model or more, or neither"):
        Teacher(models=pinned, share=share, flip=False)
