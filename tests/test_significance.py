"""Tests and intervals against cases whose answer is known, and against simulation."""

import numpy as np
import pytest

from pipeline.compare import differences, significance


def right(exclusive: int, only_other: int, both: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [(True, False, exclusive), (False, True, only_other), (True, True, both)]
    pairs = [(a, b) for a, b, n in counts for _ in range(n)]
    one, other = np.array(pairs).T
    return one, other


@pytest.mark.parametrize(
    ("exclusive", "only_other", "both", "p"),
    # Binomial tail, twice: 2 * (1 + 10 + 45) / 2**10; all of 5 on one side: 2 / 2**5; as many on each side: 1.
    [(8, 2, 5, 2 * 56 / 1024), (8, 2, 5000, 2 * 56 / 1024), (5, 0, 30, 2 / 32), (4, 4, 30, 1.0), (0, 0, 30, 1.0)],
)
def test_mcnemar_is_the_exact_binomial_of_the_images_that_one_gets_right(exclusive, only_other, both, p):
    assert significance.mcnemar(*right(exclusive, only_other, both)) == pytest.approx(p)


def test_the_interval_of_one_run_is_near_wilsons():
    from pipeline.metrics.scores import wilson

    run = np.arange(1000) < 620
    assert significance.interval(run[None]) == pytest.approx(wilson(620, 1000), abs=0.003)


def test_pairing_makes_the_interval_of_a_difference_narrow():
    rng = np.random.default_rng(1)
    one = rng.random(2000) < 0.6
    other = one.copy()
    other[rng.choice(2000, 40, replace=False)] ^= True
    ((low, high),) = significance.intervals_to_first([one[None], other[None]])
    point = one.mean() - other.mean()
    assert low < point < high
    assert high - low < 0.02, "unpaired, it would be 0.06 wide"


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(100):
        easy = rng.random(400)
        one, other = (easy[None] + rng.normal(0, 0.3, (1, 400)) < t for t in (0.6, 0.5))
        # The true difference, over far more images of the same kind.
        ((low, high),) = significance.intervals_to_first([one, other], seed=trial)
        covered += low <= TRUE_DIFFERENCE <= high
    assert 88 <= covered <= 100


_easy, _noise = np.random.default_rng(3).random(2_000_000), np.random.default_rng(4).normal(0, 0.3, 2_000_000)
TRUE_DIFFERENCE = float((_easy + _noise < 0.6).mean() - (_easy + _noise < 0.5).mean())


def test_more_pairs_need_wider_intervals():
    one, other = (x[None] for x in right(60, 40, 200))
    more = [np.random.default_rng(seed).random((1, 300)) < 0.7 for seed in range(8)]
    ((low, high),) = significance.intervals_to_first([one, other])
    wide_low, wide_high = significance.intervals_to_first([one, other, *more])[0]
    assert wide_low < low < high < wide_high


def test_twins_widen_no_interval_and_differ_by_nothing():
    """Runs that are right on the same images have no standard deviation to divide by."""
    one, other = (x[None] for x in right(60, 40, 200))
    (low, high), (twins_low, twins_high) = significance.intervals_to_first([one, other, one])
    assert (low, high) == pytest.approx(significance.intervals_to_first([one, other])[0], rel=0.1)
    assert twins_low == pytest.approx(0, abs=1e-6)
    assert twins_high == pytest.approx(0, abs=1e-6)
    assert significance.intervals_to_first([one, np.repeat(one, 3, axis=0)])[0] == pytest.approx((0, 0), abs=1e-6)
    assert significance.intervals_to_first([one]) == []


def test_p_values_are_corrected_for_all_pairs():
    one, other = right(18, 2, 100)
    third = one.copy()
    p = significance.mcnemar(one, other)
    assert [d["p"] for d in differences.to_the_best(table(one, other))] == [p]
    assert [d["p"] for d in differences.to_the_best(table(one, third, other))] == pytest.approx([1.0, 3 * p])


def test_of_twelve_equally_good_ones_the_best_is_called_better_in_one_of_twenty_trials_at_most():
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(TRIALS):
        easy = rng.random(150)
        rows = table(*(easy + rng.normal(0, 0.3, 150) < 0.6 for _ in range(12)))
        alarms += any(d["significant"] for d in differences.to_the_best(rows))
    assert alarms <= TRIALS / 20, "corrected for the 11 comparisons with the best alone, it is one of ten"


TRIALS = 80


def table(*right: np.ndarray) -> list[dict]:
    """Return what differences.rows makes of single runs, as far as it counts here: the best first."""
    rows = [{"label": "", "correct": one[None], "accuracy": one.mean(), "runs": [None]} for one in right]
    return sorted(rows, key=lambda row: -row["accuracy"])


def test_runs_that_differ_widen_the_interval_of_their_mean():
    rng = np.random.default_rng(5)
    alike = rng.random((4, 1000)) < 0.6
    unlike = rng.random((4, 1000)) < np.array([0.5, 0.55, 0.65, 0.7])[:, None]
    width = lambda runs: np.ptp(significance.interval(runs))  # noqa: E731
    assert width(unlike) > 2 * width(alike)
