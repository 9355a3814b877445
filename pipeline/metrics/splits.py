"""Metrics of the reported splits: val, test, test_clean, kaggle_test."""

from typing import Any

import numpy as np

from pipeline.data.arrays import Split
from pipeline.metrics.scores import score


def score_splits(
    splits: dict[str, Split], probabilities: dict[str, np.ndarray], clean: np.ndarray, classes: list[str]
) -> dict[str, Any]:
    """Return the metrics on val, test, test_clean (test images that are not in train) and kaggle_test (val and test).

    `splits` and their (n, k) `probabilities` are val and test; `clean` (n,) marks the images of test_clean.
    """
    (val, test), (val_p, test_p) = splits.values(), probabilities.values()
    both = np.concatenate([val_p, test_p]), np.concatenate([val.labels, test.labels])
    return {
        "val": score(val_p, val.labels, classes),
        "test": score(test_p, test.labels, classes),
        "test_clean": score(test_p[clean], test.labels[clean], classes),
        "kaggle_test": score(*both, classes),
    }
