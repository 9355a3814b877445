"""Metrics of a classifier's probabilities."""

from statistics import NormalDist
from typing import Any

import numpy as np

BINS = 15
"""Equal bins of confidence in the calibration error, as in Guo et al. 2017."""


def score(probabilities: np.ndarray, labels: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Return the metrics of (n, k) `probabilities` against (n,) `labels`, all shares from 0 to 1.

    accuracy carries its 95% interval (accuracy_low, accuracy_high). balanced_accuracy is the mean recall of the
    classes that occur. If a class is never predicted, its precision and F1 are 0.
    """
    matrix = confusion(probabilities.argmax(1), labels, len(classes))
    correct, n = int(np.trace(matrix)), len(labels)
    hits, truth, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    recall, precision = _ratio(hits, truth), _ratio(hits, predicted)
    f1 = _ratio(2 * hits, truth + predicted)
    occurs = truth > 0
    low, high = wilson(correct, n)
    return {
        "images": n,
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": cross_entropy(probabilities, labels),
        "macro_f1": float(f1[occurs].mean()),
        "balanced_accuracy": float(recall[occurs].mean()),
        "ece": calibration_error(calibration(probabilities, labels)),
        "emotions": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "images": int(truth[i]),
            }
            for i, name in enumerate(classes)
        },
    }


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the (k, k) counts: a row is a true class, a column a predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of the share of `correct` among `n` (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = correct / n, 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(centre - half, 0)), float(min(centre + half, 1))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log of the true class's probability; as in Keras, clipped at 1e-7."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true, 1e-7, 1)).mean())


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, float]]:
    """Return confidence, accuracy and count of each bin of the highest probability, without empty bins."""
    confidence, correct = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "confidence": float(confidence[place == i].mean()),
            "accuracy": float(correct[place == i].mean()),
            "count": int((place == i).sum()),
        }
        for i in np.unique(place)
    ]


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the mean distance of confidence from accuracy over the images in `bins` (Naeini et al. 2015)."""
    n = sum(b["count"] for b in bins)
    return sum(b["count"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / n


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
