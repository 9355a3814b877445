"""Temperature scaling: probabilities that mean what they say."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.data.arrays import Split
from pipeline.evaluation.metrics import cross_entropy, score


def calibrated(splits: dict[str, Split], probabilities: dict[str, np.ndarray], classes: list[str]) -> dict[str, Any]:
    """Return the temperature that val asks for, and the scores of val and test with it."""
    t = temperature(probabilities["val"], splits["val"].labels)
    scores = {name: score(scaled(p, t), splits[name].labels, classes) for name, p in probabilities.items()}
    return {"temperature": t, **scores}


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which (n, k) `probabilities` fit (n,) `labels` best, by cross-entropy.

    Above 1 it makes a network less sure of itself. Source: Guo et al. 2017, arXiv:1706.04599.
    """
    found = minimize_scalar(lambda t: cross_entropy(scaled(probabilities, np.exp(t)), labels), bounds=(-3, 3))
    return float(np.exp(found.x))


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return (n, k) probabilities whose logits are divided by `temperature`: no image changes its likeliest class."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
