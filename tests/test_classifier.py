"""Predictions of faces, and why some are rejected."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.data import batches
from pipeline.faces.classifier import Classifier
from pipeline.faces.loading import load_classifier
from pipeline.models import runtimes, saved
from tests import scenes
from tests.conftest import ROOT


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


@pytest.mark.parametrize(
    ("side", "rescaling", "given", "white"),
    [
        *[(48, False, None, 1), (64, False, None, 1), (64, True, None, 1)],
        *[(48, False, (-1.0, 1.0), 1), (48, False, (0.0, 255.0), 255)],
    ],
)
def test_faces_are_scaled_to_the_size_and_range_that_a_model_takes(tmp_path, side, rescaling, given, white):
    """Its first output is the mean of what it is given."""
    layers = [keras.Input((side, side, 1)), *([keras.layers.Rescaling(1 / 255)] if rescaling else [])]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, use_bias=False)]
    model = keras.Sequential(layers)
    model.set_weights([np.float32([[1, 0]])])
    model.save(tmp_path / "m.h5")
    classifier = Classifier(tmp_path / "m.h5", classes=["a", "b"], inputs=given)
    black = given[0] if given else 0
    for level in (0, 51, 255):
        faces = np.full((2, 48, 48), level, np.uint8)
        seen = classifier._predict(runtimes.to_unit(faces))[:, 0]
        np.testing.assert_allclose(seen, black + (white - black) * level / 255, rtol=1e-5, atol=1e-6)


def test_the_images_of_predictions_are_those_of_training():
    pixels = np.arange(256, dtype=np.uint8).repeat(9).reshape(1, 48, 48)
    assert np.array_equal(runtimes.to_unit(pixels), batches.to_unit(pixels).numpy())


def test_the_shipped_model_predicts_without_tensorflow_as_with_it():
    code = (
        "import sys, numpy as np; from pathlib import Path; from pipeline.faces.classifier import Classifier;"
        "c = Classifier(Path('weights/best.h5'));"
        "faces = np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8);"
        "fast = c.probabilities(faces); assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules;"
        "c._predict = __import__('pipeline.models.runtimes').models.runtimes.compile_model(c.model);"
        "print(np.abs(fast - c.probabilities(faces)).max())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert float(done.stdout) < 1e-5


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match=r"no\.h5 is missing; accepted: an \.h5 file"):
        load_classifier(str(tmp_path / "no.h5"))
