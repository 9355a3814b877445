"""The labels of training images, as probabilities."""

import numpy as np


def targets(classes: int, smoothing: float) -> np.ndarray:
    """Return (k, k) float32 probabilities, a row for each label: a share of `smoothing` is spread over all k classes.

    Not in the loss, so that val loss is computed from the true labels. Source: Szegedy et al. 2016,
    arXiv:1512.00567.
    """
    smoothed = np.full((classes, classes), smoothing / classes, np.float32)
    np.fill_diagonal(smoothed, 1 - smoothing + smoothing / classes)
    return smoothed


BETA = 0.999
"""The share of new information that an image leaves for the next one of its class, in `effective` weights."""


def class_weights(kind: str, counts: np.ndarray) -> np.ndarray | None:
    """Return (k,) weights of the classes in the loss, for (k,) images of each; their mean over the images is 1.

    `none` returns None, `balanced` the inverse of `counts`, `effective` the inverse of (1 - BETA^count) / (1 - BETA):
    the effective number of images, which differs less between large classes (Cui et al. 2019, arXiv:1901.05555).
    """
    if kind == "none":
        return None
    weights = 1 / counts if kind == "balanced" else (1 - BETA) / (1 - BETA**counts)
    return weights * counts.sum() / (weights @ counts)
