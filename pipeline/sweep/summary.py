"""Results of one configuration over several seeds, and how they are written in tables."""

import statistics
from collections.abc import Sequence
from typing import Any


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of one value per seed and the sample standard deviation, which is None for a single seed."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def of_seeds(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the accuracy over `scores`, one per seed: mean, deviation and each; for a single seed its 95% interval."""
    each = [score["accuracy"] for score in scores]
    mean, deviation = mean_and_deviation(each)
    if deviation is None:
        return {"mean": mean, "low": scores[0]["accuracy_low"], "high": scores[0]["accuracy_high"]}
    return {"mean": mean, "deviation": deviation, "each": each}


def accuracy(seeds: dict[str, Any]) -> str:
    """Return what `of_seeds` found as text: `70.25% ± 0.21` or, for a single seed, `70.25% (68.8% to 71.8%)`."""
    if "deviation" in seeds:
        return f"{seeds['mean']:.2%} ± {100 * seeds['deviation']:.2f}"
    return f"{seeds['mean']:.2%} ({interval(seeds['low'], seeds['high'])})"


def interval(low: float, high: float) -> str:
    """Return the bounds of an interval of shares as text: `68.8% to 71.8%`."""
    return f"{low:.1%} to {high:.1%}"
