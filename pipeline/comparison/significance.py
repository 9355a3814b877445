"""Whether a difference between two classifiers, scored on the same images, is more than chance."""

import numpy as np

RESAMPLES = 2000


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test (McNemar 1947) that both have the same accuracy.

    `one` and `other` are (n,) bool: which of the same images each classifies right. Only the images that one of
    them alone gets right count.
    """
    from scipy.stats import binomtest

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0


def interval(right: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95% interval of the mean accuracy of (runs, n) bool, over images and runs."""
    return _percentiles(_accuracies(right, *_draws(right, seed)))


def difference(one: np.ndarray, other: np.ndarray, comparisons: int = 1, seed: int = 0) -> tuple[float, float]:
    """Return the interval of the mean accuracy of `one` less that of `other`, by a paired bootstrap.

    Both are bool, (runs, n), on the same n images. Each resample draws the images, the same for both, and the runs
    of each (Efron 1979; percentiles). 95% is the chance that all of the `comparisons` hold (Bonferroni).
    """
    images, runs = _draws(one, seed)
    _, other_runs = _draws(other, seed + 1)
    differences = _accuracies(one, images, runs) - _accuracies(other, images, other_runs)
    return _percentiles(differences, 5 / comparisons)


def holm(p_values: list[float]) -> list[float]:
    """Return the p-values of several tests, corrected so that one false alarm in all is as likely (Holm 1979)."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, p_values[i] * (len(p_values) - place)))
        corrected[i] = highest
    return corrected


def _draws(right: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each resample draws each image, (resamples, n), and each run, (resamples, runs)."""
    rng = np.random.default_rng(seed)
    runs, images = right.shape
    return (
        rng.multinomial(images, np.full(images, 1 / images), RESAMPLES),
        rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES),
    )


def _accuracies(right: np.ndarray, images: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return the accuracy in each resample."""
    by_run = images @ right.T.astype(float)  # (resamples, runs)
    return (by_run * runs).sum(1) / images.shape[1] / runs.sum(1)


def _percentiles(values: np.ndarray, outside: float = 5) -> tuple[float, float]:
    low, high = np.percentile(values, [outside / 2, 100 - outside / 2])
    return float(low), float(high)
