"""Summarizes the results of one configuration over several seeds, and formats them for tables."""

import statistics
from collections.abc import Sequence
from typing import Any


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation of one value per seed; None as deviation of a single seed."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def over_seeds(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the accuracy over `scores`, one per seed: mean, deviation and each value, or one seed's 95% interval."""
    each = [score["accuracy"] for score in scores]
    mean, deviation = mean_and_deviation(each)
    if deviation is None:
        return {"mean": mean, "low": scores[0]["accuracy_low"], "high": scores[0]["accuracy_high"]}
    return {"mean": mean, "deviation": deviation, "each": each}


def accuracy(seeds: dict[str, Any]) -> str:
    """Return the result of `over_seeds` as text: `70.25% ± 0.21` or, for a single seed, `70.25% (68.8% to 71.8%)`."""
    if "deviation" in seeds:
        return f"{seeds['mean']:.2%} ± {100 * seeds['deviation']:.2f}"
    return f"{seeds['mean']:.2%} ({interval(seeds['low'], seeds['high'])})"


def interval(low: float, high: float) -> str:
    """Return the bounds of an interval, from 0 to 1, as text: `68.8% to 71.8%`."""
    return f"{low:.1%} to {high:.1%}"
