"""The labels of training images, as probabilities."""

import numpy as np

from pipeline.data.arrays import Split


def targets(split: Split, classes: int, smoothing: float) -> np.ndarray:
    """Return (n, k) float32 probabilities: a share of `smoothing` of each label is spread over all classes.

    Here and not in the loss, so that the loss on val is that of true labels. Source: Szegedy et al. 2016,
    arXiv:1512.00567.
    """
    smoothed = np.full((len(split), classes), smoothing / classes, np.float32)
    smoothed[np.arange(len(split)), split.labels] = 1 - smoothing + smoothing / classes
    return smoothed
