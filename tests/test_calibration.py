"""Temperature scaling: it undoes what makes a network too sure of itself, and changes no decision."""

import numpy as np
import pytest

from pipeline.evaluation import calibration, metrics


def test_a_temperature_undoes_what_made_a_network_too_sure():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(5), 4000)
    labels = np.array([rng.choice(5, p=p) for p in honest])
    boasting = calibration.scaled(honest, 0.5)
    found = calibration.temperature(boasting, labels)
    assert found == pytest.approx(2, rel=0.1)
    scaled = calibration.scaled(boasting, found)
    before, after = (metrics.score(p, labels, list("abcde")) for p in (boasting, scaled))
    assert before["ece"] > 0.05
    assert after["ece"] < 0.03
    assert after["loss"] < before["loss"]
    assert after["accuracy"] == before["accuracy"]


def test_a_probability_of_nothing_stays_a_number():
    scaled = calibration.scaled(np.array([[1.0, 0.0, 0.0]], np.float32), 2.0)
    assert scaled.sum() == pytest.approx(1)
    assert np.isfinite(scaled).all()
