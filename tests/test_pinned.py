"""Right values, stated here by themselves: no constant of the code is imported that a test checks."""

import io

import keras
import numpy as np
import pytest

from pipeline.core.constants import IMAGE_SIZE
from pipeline.data import batches, layouts
from pipeline.data.arrays import Split
from pipeline.faces import rows
from pipeline.faces.classifier import Face, Prediction
from pipeline.faces.detection import Box
from pipeline.metrics import calibration, inference, scores
from pipeline.tracking.headline import headline
from tests.settings import AS_THEY_ARE

EMOTIONS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
"""In alphabetical order: the folders of Kaggle's archive, and the outputs of every published model of it."""


def test_the_codes_of_the_table_are_the_challenges():
    """kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge/data."""
    pixels = " ".join(["7"] * 48 * 48)
    table = "emotion,pixels,Usage\n" + "".join(f"{code},{pixels},Training\n" for code in range(7))
    found = [face.emotion for face in layouts.parse_table(io.BytesIO(table.encode()))]
    assert found == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


@pytest.mark.parametrize(("usage", "split"), [("Training", "train"), ("PublicTest", "val"), ("PrivateTest", "test")])
def test_the_usages_of_the_table_are_these_splits(usage, split):
    table = f"emotion,pixels,Usage\n3,{' '.join(['0'] * 2304)},{usage}\n"
    (face,) = layouts.parse_table(io.BytesIO(table.encode()))
    assert (face.split, face.emotion) == (split, "happy")


def test_the_pixels_of_the_table_are_rows_from_the_top():
    pixels = " ".join(str(value) for row in range(48) for value in [row] * 48)
    (face,) = layouts.parse_table(io.BytesIO(f"emotion,pixels,Usage\n0,{pixels},Training\n".encode()))
    assert face.pixels[:, 0].tolist() == list(range(48))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/sad/Training_17.jpg", ("train", "sad", 17)),
        ("test/fear/PublicTest_3.jpg", ("val", "fear", 3)),
        ("test/surprise/PrivateTest_5.png", ("test", "surprise", 5)),
    ],
)
def test_kaggles_names_say_split_emotion_and_number(name, expected):
    assert layouts.parse_name(name) == expected


def test_pixels_become_numbers_from_0_to_1():
    pixels = np.array([[[0, 51, 255]]], np.uint8)
    np.testing.assert_allclose(batches.to_unit(pixels).numpy()[0, 0, :, 0], [0.0, 0.2, 1.0], rtol=1e-6)


def test_a_temperature_divides_the_logits():
    """At 2 it takes the square roots of the probabilities, which makes them less confident."""
    np.testing.assert_allclose(calibration.scaled(np.array([[0.9, 0.1]]), 2.0), [[0.75, 0.25]], rtol=1e-12)
    np.testing.assert_allclose(calibration.scaled(np.array([[0.75, 0.25]]), 0.5), [[0.9, 0.1]], rtol=1e-12)


def test_the_temperature_is_fitted_on_val_and_not_on_test():
    """On val 3 of 4 are correct with 0.9, which is too confident; on test all are."""
    probabilities = np.tile([0.9, 0.1], (400, 1))
    labels = {"val": np.arange(400) % 4 // 3, "test": np.zeros(400, int)}
    splits = {name: Split(np.empty(0), np.arange(400), values) for name, values in labels.items()}
    found = calibration.calibrated(splits, dict.fromkeys(splits, probabilities), ["happy", "sad"])
    assert found["temperature"] == pytest.approx(2.0, abs=1e-3)  # log(0.9 / 0.1) / log(0.75 / 0.25)
    assert found["val"]["loss"] == pytest.approx(0.5623, abs=1e-4)  # the entropy of 3 of 4


@pytest.fixture(scope="module")
def lopsided() -> tuple[keras.Model, Split]:
    """Return a model that sees only the left half of an image, and images that are bright there or on the right."""
    weights = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 1), np.float32)
    weights[:, : IMAGE_SIZE // 2] = 8 / IMAGE_SIZE**2
    layers = [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.set_weights([np.stack([weights.ravel(), -weights.ravel()], axis=1), np.zeros(2, np.float32)])
    pixels = np.zeros((2, 48, 48), np.uint8)
    pixels[0, :, :24] = pixels[1, :24, :24] = 255  # left; left and top
    return model, Split(pixels, np.arange(2), np.zeros(2, int))


def test_models_of_one_architecture_keep_their_own_predictions(lopsided):
    """They share one compiled prediction."""
    model, images = lopsided
    other = keras.models.clone_model(model)
    other.set_weights([-weight for weight in model.get_weights()])
    expected = 1 / (1 + np.exp(-np.array([8, 4])))
    for one, probability in (model, expected), (other, 1 - expected), (model, expected):
        np.testing.assert_allclose(inference.predict(one, images)[:, 0], probability, atol=1e-5)


def test_test_time_augmentation_flips_left_and_right(lopsided):
    model, images = lopsided
    left = inference.predict(model, images)[:, 0]
    expected = 1 / (1 + np.exp(-np.array([8, 4])))
    np.testing.assert_allclose(left, expected, atol=1e-5)
    np.testing.assert_allclose(inference.predict_with_flip(model, images)[:, 0], (expected + 0.5) / 2, atol=1e-5)


def test_the_flip_of_training_images_is_left_and_right():
    pixels = np.zeros((64, 48, 48), np.uint8)
    pixels[:, :24, :12] = 255  # at the top, on the left
    split = Split(pixels, np.arange(64), np.zeros(64, int))
    flipping = AS_THEY_ARE.model_copy(update={"flip": True})
    (images, _), *_ = batches.training(split, np.eye(2, dtype=np.float32), flipping, 64, 1, range(1, 2))
    corners = {tuple(image[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist()) for image in images.numpy()}
    assert corners == {(1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0)}


def test_a_line_of_predict_has_each_probability_below_its_class():
    probabilities = np.array([0.01, 0.02, 0.04, 0.5, 0.08, 0.16, 0.19])
    face = Face(Box(3, 5, 40), Prediction("happy", probabilities, ""))
    (row,) = rows.of_frame("a.jpg", None, [face], EMOTIONS)
    assert {name: row[name] for name in EMOTIONS} == dict(zip(EMOTIONS, probabilities.tolist(), strict=True))
    assert [row[key] for key in ("file", "face", "x", "y", "side")] == ["a.jpg", 1, 3, 5, 40]


def test_a_row_of_the_confusion_matrix_is_a_true_class():
    matrix = scores.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]


def test_scores_of_a_case_done_by_hand():
    """Three of a, one of b; predicted a, a, b, b: recalls 2/3 and 1, precisions 1 and 1/2."""
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    found = scores.score(probabilities, np.array([0, 0, 0, 1]), ["a", "b"])
    assert found["accuracy"] == 0.75
    assert found["emotions"]["a"] == pytest.approx({"precision": 1.0, "recall": 2 / 3, "f1": 0.8, "images": 3})
    assert found["emotions"]["b"] == pytest.approx({"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "images": 1})
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["loss"] == pytest.approx(-np.log([0.8, 0.6, 0.4, 0.9]).mean())
    assert found["ece"] == pytest.approx((abs(0.8 - 1) + abs(1.2 - 1) + abs(0.9 - 1)) / 4)
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_the_metrics_of_a_split_are_logged_under_its_name():
    emotions = {"happy": {"f1": 0.4}}
    numbers = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")
    places = {"val": 0.1, "test": 0.2, "test_clean": 0.3, "kaggle_test": 0.4}
    logged = headline(
        {split: {**dict.fromkeys(numbers, value), "emotions": emotions} for split, value in places.items()}
        | {"corrupted": {"mean_accuracy": 0.5}}
    )
    assert logged["test"]["test/corrupted_accuracy"] == 0.5
    assert logged["val"]["val/accuracy"] == logged["val"]["val/loss"] == 0.1
    assert logged["test"]["test/accuracy"] == logged["test"]["test/loss"] == 0.2
    assert logged["test"]["test/test_clean_accuracy"] == 0.3
    assert logged["test"]["test/kaggle_test_accuracy"] == 0.4
