"""The significance of differences between classifiers on the same images."""

import numpy as np

RESAMPLES = 2000


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test (McNemar 1947); the null hypothesis is that both accuracies are equal.

    `one` and `other` are (n,) bool: which of the same images each classifies correctly. Only images that a single one
    classifies correctly count.
    """
    from scipy.stats import binomtest

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0


def interval(correct: np.ndarray) -> tuple[float, float]:
    """Return the 95% bootstrap interval (Efron 1979) of the mean accuracy, over images and runs.

    `correct` is (runs, n) bool: which of n images each run classifies correctly.
    """
    rng = np.random.default_rng(0)
    low, high = np.percentile(_accuracies(rng, correct, _draws(rng, correct.shape[1])), [2.5, 97.5])
    return float(low), float(high)


def intervals_to_first(correct: list[np.ndarray], seed: int = 0) -> list[tuple[float, float]]:
    """Return the interval of the difference in mean accuracy between the first of `correct` and each other one.

    Each of `correct` is (runs, n) bool, on the same n images. The first may have been chosen on these images, so the
    intervals of all pairs hold together with a probability of 95%. Each resample draws images, the same for all, and
    runs. It changes the difference of each pair by some multiple of its standard deviation. The largest of these
    multiples is below q in 95% of the resamples, and an interval is the difference plus and minus q standard deviations
    (single-step max-T: Westfall and Young 1993, Romano and Wolf 2005). With two it is an ordinary bootstrap interval.
    """
    rng = np.random.default_rng(seed)
    images = _draws(rng, correct[0].shape[1])
    accuracies = np.array([one.mean() for one in correct])
    changes = np.array([_accuracies(rng, one, images) for one in correct]) - accuracies[:, None]
    largest = np.zeros(RESAMPLES)
    for i in range(len(correct) - 1):  # not all pairs at once: the pairs of hundreds of runs would fill the memory
        pairs = changes[i] - changes[i + 1 :]
        largest = np.maximum(largest, (np.abs(pairs) / _deviations(pairs)[:, None]).max(0))
    differences = accuracies[0] - accuracies[1:]
    margins = np.percentile(largest, 95) * _deviations(changes[0] - changes[1:])
    return list(zip((differences - margins).tolist(), (differences + margins).tolist(), strict=True))


def _draws(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (resamples, n): how often each resample draws each of `n`."""
    return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


def _accuracies(rng: np.random.Generator, correct: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return (resamples,): the accuracy in each resample of `images` and of the runs."""
    by_run = images @ correct.T.astype(float)  # (resamples, runs)
    return (by_run * _draws(rng, len(correct))).sum(1) / correct.size


def _deviations(pairs: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each row of `pairs`, at least 1e-9, to divide by.

    If two are correct on the same images, resamples differ only by rounding; otherwise by at least one image.
    """
    return np.maximum(pairs.std(1), 1e-9)
