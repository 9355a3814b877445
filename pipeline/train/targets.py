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
