"""The metrics, against numbers of scikit-learn and numbers worked out by hand."""

import numpy as np
import pytest

from pipeline.metrics import scores

CONFUSION = np.array([[30, 5, 0, 4], [6, 41, 0, 2], [9, 8, 0, 11], [1, 3, 0, 27]])
"""A row for each true emotion; none is predicted as sad."""
SCIKIT_LEARN = {  # 1.9.1: precision, recall, F1, images
    "angry": [0.6521739130434783, 0.7692307692307693, 0.7058823529411765, 39],
    "happy": [0.7192982456140351, 0.8367346938775511, 0.7735849056603774, 49],
    "sad": [0, 0, 0, 28],
    "surprise": [0.6136363636363636, 0.8709677419354839, 0.72, 31],
}


def test_agrees_with_scikit_learn():
    labels = np.repeat(np.arange(4), CONFUSION.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(4), row) for row in CONFUSION])
    found = scores.score(np.where(np.eye(4)[predicted] == 1, 0.7, 0.1), labels, list(SCIKIT_LEARN))
    assert (scores.confusion(predicted, labels, 4) == CONFUSION).all()
    assert found["accuracy"] == pytest.approx(98 / 147)
    assert found["macro_f1"] == pytest.approx(0.5498668146503884)
    assert found["balanced_accuracy"] == pytest.approx(0.6192333012609511)
    assert found["loss"] == pytest.approx(-(98 * np.log(0.7) + 49 * np.log(0.1)) / 147)
    for name, expected in SCIKIT_LEARN.items():
        ours = found["emotions"][name]
        assert [ours["precision"], ours["recall"], ours["f1"], ours["images"]] == pytest.approx(expected)


def test_the_interval_is_wilsons():
    from scipy.stats import binomtest

    for right, n in [(0, 10), (7, 7), (1871, 3589), (3, 7)]:
        expected = binomtest(right, n).proportion_ci(method="wilson")
        assert scores.wilson(right, n) == pytest.approx((expected.low, expected.high))


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])  # 50% right where 90% sure, 100% right where 60% sure
    bins = scores.calibration(probabilities, labels)
    assert [(b["count"], b["accuracy"]) for b in bins] == [(2, 1.0), (2, 0.5)]
    assert scores.calibration_error(bins) == pytest.approx((0.4 + 0.4) / 2)


def test_certain_and_wrong_is_a_finite_loss():
    assert scores.cross_entropy(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-7))
