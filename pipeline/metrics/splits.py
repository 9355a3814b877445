"""Metrics of the splits that are reported: val, test, test_clean, kaggle_test."""

from typing import Any

import numpy as np

from pipeline.data.arrays import Split
from pipeline.metrics.scores import score


def scored(
    splits: dict[str, Split], probabilities: dict[str, np.ndarray], clean: np.ndarray, classes: list[str]
) -> dict[str, Any]:
    """Return the metrics on val, test, test_clean (not in train, pixel for pixel) and kaggle_test (val and test)."""
    (val, test), (val_p, test_p) = splits.values(), probabilities.values()
    both = np.concatenate([val_p, test_p]), np.concatenate([val.labels, test.labels])
    return {
        "val": score(val_p, val.labels, classes),
        "test": score(test_p, test.labels, classes),
        "test_clean": score(test_p[clean], test.labels[clean], classes),
        "kaggle_test": score(*both, classes),
    }
