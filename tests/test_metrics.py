"""The metrics, against scikit-learn and against numbers worked out by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.metrics import scores

CLASSES = ["angry", "happy", "sad", "surprise"]


@pytest.fixture(params=[1, 2, 3])
def scored(request):
    """Return (200, 4) probabilities that lean to the truth, and labels; in one draw an emotion is never predicted."""
    rng = np.random.default_rng(request.param)
    labels = rng.integers(0, 4, 200)
    logits = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    if request.param == 3:
        logits[:, 2] = -8
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32), labels


def test_agrees_with_scikit_learn(scored):
    probabilities, labels = scored
    predicted = probabilities.argmax(1)
    found = scores.score(probabilities, labels, CLASSES)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, predicted, average="macro", zero_division=0))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert found["loss"] == pytest.approx(reference.log_loss(labels, probabilities), rel=1e-5)
    assert (scores.confusion(predicted, labels, 4) == reference.confusion_matrix(labels, predicted)).all()
    table = reference.precision_recall_fscore_support(labels, predicted, zero_division=0)
    for i, name in enumerate(CLASSES):
        ours = found["emotions"][name]
        assert [ours["precision"], ours["recall"], ours["f1"], ours["images"]] == pytest.approx([t[i] for t in table])


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
