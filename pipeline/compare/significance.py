"""Whether a difference between two classifiers, scored on the same images, is more than chance."""

import numpy as np

RESAMPLES = 2000


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test (McNemar 1947) that both have the same accuracy.

    `one` and `other` are (n,) bool: which of the same images each classifies right. Only the images that one of
    them alone gets right count.
    """
    from scipy.stats import binomtest

    exclusive, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(exclusive, exclusive + only_other).pvalue) if exclusive + only_other else 1.0


def interval(right: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95% interval of the mean accuracy of (runs, n) bool, over images and runs (Efron 1979)."""
    rng = np.random.default_rng(seed)
    images, runs = (_draws(rng, n) for n in reversed(right.shape))
    low, high = np.percentile(_accuracies(right, images, runs), [2.5, 97.5])
    return float(low), float(high)


def against_the_first(right: list[np.ndarray], seed: int = 0) -> list[tuple[float, float]]:
    """Return the intervals of the mean accuracy of the first of `right` less that of each other one.

    Each is bool, (runs, n), on the same n images. The first may be the one that came out best on them: 95% is the
    chance that the intervals of all pairs hold at once. Each resample draws the images, the same for all, and the runs
    of each. It moves the difference of every pair by some standard deviations of it; the largest of these moves is
    below q in 95% of the resamples, and an interval is the difference, plus and minus q standard deviations (max-T,
    single step: Westfall and Young 1993, Romano and Wolf 2005). Of two it is an ordinary bootstrap interval.
    """
    rng = np.random.default_rng(seed)
    images = _draws(rng, right[0].shape[1])
    accuracies = np.array([one.mean() for one in right])
    moved = np.array([_accuracies(one, images, _draws(rng, len(one))) for one in right]) - accuracies[:, None]
    largest = np.zeros(RESAMPLES)
    for i in range(len(right) - 1):  # not all pairs at once: those of hundreds would fill the memory
        apart = moved[i] - moved[i + 1 :]
        largest = np.maximum(largest, (np.abs(apart) / _deviations(apart)[:, None]).max(0))
    points = accuracies[0] - accuracies[1:]
    reach = np.percentile(largest, 95) * _deviations(moved[0] - moved[1:])
    return list(zip((points - reach).tolist(), (points + reach).tolist(), strict=True))


def _draws(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return how often each resample draws each of `n`, (resamples, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


def _accuracies(right: np.ndarray, images: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return the accuracy in each resample."""
    by_run = images @ right.T.astype(float)  # (resamples, runs)
    return (by_run * runs).sum(1) / images.shape[1] / runs.sum(1)


def _deviations(apart: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each row of `apart`, and where there is none a tiny number to divide by.

    Two that are right on the same images differ in no resample but by rounding, others by an image at least.
    """
    return np.maximum(apart.std(1), 1e-9)
