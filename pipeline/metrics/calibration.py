"""Temperature scaling, and the probability from which on a prediction is confident."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.data.arrays import Split
from pipeline.metrics.scores import cross_entropy, score

CONFIDENT = 0.8
"""The accuracy on val of the predictions that count as confident."""


def calibrated(splits: dict[str, Split], probabilities: dict[str, np.ndarray], classes: list[str]) -> dict[str, Any]:
    """Return the temperature fitted on val, and the scores of val and test with it."""
    t = temperature(probabilities["val"], splits["val"].labels)
    scores = {name: score(scaled(p, t), splits[name].labels, classes) for name, p in probabilities.items()}
    return {"temperature": t, **scores}


def fit(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the temperature of (n, k) `probabilities` of val, and the threshold of the calibrated ones."""
    t = temperature(probabilities, labels)
    return t, threshold(scaled(probabilities, t), labels)


def threshold(probabilities: np.ndarray, labels: np.ndarray, accuracy: float = CONFIDENT) -> float:
    """Return the lowest probability from which on predictions have this `accuracy`; 1 if there is none.

    `probabilities` (n, k) are calibrated, `labels` (n,). Source: the risk of a selective classifier, El-Yaniv and
    Wiener 2010, JMLR 11.
    """
    highest = probabilities.max(1)
    order = np.argsort(-highest, kind="stable")
    accuracies = np.cumsum(probabilities.argmax(1)[order] == labels[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(highest[order]) < 0, True)  # of equal probabilities, which are accepted together
    enough = np.flatnonzero(last & (accuracies >= accuracy))
    return float(highest[order][enough[-1]]) if len(enough) else 1.0


def confident(probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float]:
    """Return the share of (n, k) calibrated `probabilities` that reach `threshold`, and their accuracy."""
    reached = probabilities.max(1) >= threshold
    correct = probabilities.argmax(1)[reached] == labels[reached]
    return {"share": float(reached.mean()), "accuracy": float(correct.mean()) if len(correct) else 0.0}


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which (n, k) `probabilities` fit (n,) `labels` best, by cross-entropy.

    Above 1 it lowers the confidence. Source: Guo et al. 2017, arXiv:1706.04599.
    """
    found = minimize_scalar(lambda t: cross_entropy(scaled(probabilities, np.exp(t)), labels), bounds=(-3, 3))
    return float(np.exp(found.x))


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return (n, k) probabilities whose logits are divided by `temperature`, which keeps the predicted classes."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
