"""Temperature scaling: it undoes what makes a network too sure of itself, and changes no decision."""

import numpy as np
import pytest

from pipeline.metrics import calibration, scores


def test_a_temperature_undoes_what_made_a_network_too_sure():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(5), 4000)
    labels = np.array([rng.choice(5, p=p) for p in honest])
    boasting = calibration.scaled(honest, 0.5)
    found = calibration.temperature(boasting, labels)
    assert found == pytest.approx(2, rel=0.1)
    scaled = calibration.scaled(boasting, found)
    before, after = (scores.score(p, labels, list("abcde")) for p in (boasting, scaled))
    assert before["ece"] > 0.05
    assert after["ece"] < 0.03
    assert after["loss"] < before["loss"]
    assert after["accuracy"] == before["accuracy"]


def test_the_threshold_is_the_lowest_from_which_on_answers_are_right_often_enough():
    highest = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = np.array([1, 1, 0, 1, 1, 0, 0, 1], bool)  # at 0.7 and above 4 of 5, at 0.6 and above 4 of 6
    probabilities = np.stack([highest, 1 - highest], axis=1)
    probabilities[highest < 0.5] = [0.3, 0.4]
    named = probabilities.argmax(1)
    labels = np.where(right, named, 1 - named)
    assert calibration.threshold(probabilities, labels, 0.8) == 0.7
    assert calibration.confident(probabilities, labels, 0.7) == {"share": 5 / 8, "accuracy": 0.8}
    assert calibration.threshold(probabilities, 1 - named, 0.8) == 1.0
    assert calibration.confident(probabilities, labels, 1.0) == {"share": 0.0, "accuracy": 0.0}


@pytest.mark.parametrize("first_is_right", [True, False])
def test_answers_of_the_same_probability_are_sure_together_or_not_at_all(first_is_right):
    """A network that says the same of every image, and is right on a few of them."""
    probabilities = np.tile([0.2, 0.5, 0.3], (100, 1))
    labels = np.array([1] * 20 + [0] * 80)
    labels = labels if first_is_right else labels[::-1]
    assert calibration.threshold(probabilities, labels) == 1.0


def test_a_probability_of_nothing_stays_a_number():
    scaled = calibration.scaled(np.array([[1.0, 0.0, 0.0]], np.float32), 2.0)
    assert scaled.sum() == pytest.approx(1)
    assert np.isfinite(scaled).all()
