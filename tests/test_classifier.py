"""What a network says of a face, and how sure it is."""

import keras
import numpy as np
import pytest

from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.faces import classifier
from pipeline.faces.classifier import Classifier
from pipeline.models import saved
from tests import scenes


@pytest.fixture(scope="module")
def answering(tmp_path_factory) -> Classifier:
    return scenes.answering(tmp_path_factory.mktemp("network"))


def test_probabilities_are_the_networks_scaled_by_its_temperature(answering):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    raw = answering.model.predict(pixels[..., None] / 255, verbose=0)
    expected = raw ** (1 / 1.5)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answering.probabilities(pixels), expected, atol=1e-6)


def test_an_answer_says_why_it_is_not_sure(answering):
    rng = np.random.default_rng(2)
    light, even = (rng.integers(low, high, (48, 48), dtype=np.uint8) for low, high in ((200, 256), (97, 158)))
    blurred = np.tile(np.linspace(200, 255, 48).astype(np.uint8), (48, 1))
    sure, small, out_of_focus, close = answering.answers(np.stack([light, light, blurred, even]), [90, 20, 90, 90])
    assert (sure.emotion, sure.doubt) == ("happy", "")
    assert [a.doubt for a in (small, out_of_focus, close)] == ["small", "blurred", "close"]
    assert close.text.startswith("unsure: ")


def test_a_file_of_another_program_is_taken_for_the_seven_emotions_or_refused(tmp_path):
    for outputs in (7, 3):
        net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(outputs)])
        net.save(tmp_path / f"{outputs}.h5")
    assert saved.info(tmp_path / "7.h5", 7) == saved.ModelInfo(list(EMOTIONS), 1.0, 0.0)
    with pytest.raises(PipelineError, match="does not state which classes its 3 outputs are"):
        classifier.Classifier(tmp_path / "3.h5")


def test_a_network_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match=r"no\.h5 is missing; accepted: an \.h5 file"):
        classifier.find(str(tmp_path / "no.h5"))
