"""Predictions of faces, and why some are rejected."""

import keras
import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.faces.classifier import Classifier
from pipeline.faces.loading import load_classifier
from pipeline.models import saved
from tests import scenes


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return scenes.grey_classifier(tmp_path_factory.mktemp("model"))


def test_probabilities_are_those_of_the_model_scaled_by_its_temperature(classifier):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    raw = classifier.model.predict(pixels[..., None] / 255, verbose=0)
    expected = raw ** (1 / 1.5)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.probabilities(pixels), expected, atol=1e-5)


def test_a_rejected_prediction_has_a_reason(classifier):
    rng = np.random.default_rng(2)
    light, even = (rng.integers(low, high, (48, 48), dtype=np.uint8) for low, high in ((200, 256), (97, 158)))
    blurred = np.tile(np.linspace(200, 255, 48).astype(np.uint8), (48, 1))
    faces = np.stack([light, light, blurred, even])
    found = map(classifier.prediction, faces, [90, 20, 90, 90], classifier.probabilities(faces))
    confident, small, blurry, low = found
    assert (confident.emotion, confident.rejected) == ("happy", "")
    assert [p.rejected for p in (small, blurry, low)] == ["small", "blurred", "low confidence"]
    assert low.text.endswith(" (rejected: low confidence)")


def test_the_order_of_the_emotions_is_never_guessed(tmp_path):
    for outputs in (7, 3):
        net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(outputs)])
        net.save(tmp_path / f"{outputs}.h5")
    with pytest.raises(PipelineError, match=r"which classes its 3 outputs are; give them in order with --classes$"):
        Classifier(tmp_path / "3.h5")
    orders = (
        r"angry,disgust,fear,happy,neutral,sad,surprise \(alphabetical\) or "
        r"angry,disgust,fear,happy,sad,surprise,neutral \(fer2013\.csv\)"
    )
    with pytest.raises(PipelineError, match=f"its 7 outputs are; .* --classes, for example {orders}"):
        Classifier(tmp_path / "7.h5")
    given = ["a", "b", "c"]
    assert saved.info(tmp_path / "3.h5", 3, given) == saved.ModelInfo(given, 1.0, 0.0)
    with pytest.raises(PipelineError, match=r"7\.h5 with --classes names 3 classes, and its model has 7 outputs"):
        saved.info(tmp_path / "7.h5", 7, given)


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match=r"no\.h5 is missing; accepted: an \.h5 file"):
        load_classifier(str(tmp_path / "no.h5"))
