"""The differences between configurations on the same images, and their significance."""

import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.compare import significance
from pipeline.core.errors import PipelineError
from pipeline.metrics.scores import score
from pipeline.sweep.summary import mean_and_deviation

if TYPE_CHECKING:
    from pipeline.compare.runs import Run


def require_comparable(found: "list[Run]") -> None:
    """Raise PipelineError if the runs do not have predictions of the same images and emotions."""
    if len(found) < 2:
        raise PipelineError(f"{len(found)} finished training runs; accepted: two or more")
    first = found[0]
    for run in found[1:]:
        for what, one, other in (
            ("datasets", *(f"{r.tags['data']} ({r.tags['data_digest'][:12]})" for r in (first, run))),
            ("emotions", ", ".join(first.classes), ", ".join(run.classes)),
        ):
            if one != other:
                raise PipelineError(
                    f"{first.name!r} and {run.name!r} have different {what}: {one}, and {other}; "
                    "accepted: runs with the same dataset and emotions"
                )


def rows(groups: "list[list[Run]]", labels: list[str]) -> list[dict[str, Any]]:
    """Return one row for each group of seeds, best accuracy first."""
    table = []
    for group, label in zip(groups, labels, strict=True):
        predicted = [run.predicted for run in group]
        correct = np.array([p.probabilities.argmax(1) == p.labels for p in predicted])
        scores = [score(*p, run.classes) for p, run in zip(predicted, group, strict=True)]
        each = correct.mean(1).tolist()
        accuracy, deviation = mean_and_deviation(each)
        low, high = (scores[0][f"accuracy_{end}"] for end in ("low", "high"))
        if len(group) > 1:
            low, high = significance.interval(correct)
        table.append(
            {
                "label": label,
                "ids": [run.id for run in group],
                "seeds": [run.parameters["seed"] for run in group],
                "accuracy": accuracy,
                "deviation": deviation,
                "low": low,
                "high": high,
                "each_run": each,
                **{key: statistics.mean(s[key] for s in scores) for key in ("macro_f1", "loss", "ece")},
                "minutes": statistics.mean(sum(row["seconds"] for row in run.history) / 60 for run in group),
                "correct": correct,
                "runs": group,
            }
        )
    return sorted(table, key=lambda row: -row["accuracy"])


def to_the_best(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the difference in accuracy between the best row and each other row, and whether it is significant.

    The best row was chosen on the same images. Intervals and p-values (Bonferroni) are therefore corrected for all
    pairs of rows. A verdict refers to rows by their numbers in the table, from 1, because labels may be long.
    """
    best, others = table[0], table[1:]
    intervals = significance.intervals_to_first([row["correct"] for row in table])
    pairs = len(table) * len(others) // 2
    differences = []
    for place, (row, (low, high)) in enumerate(zip(others, intervals, strict=True), 2):
        p = None
        if len(best["runs"]) == len(row["runs"]) == 1:
            p = min(1.0, pairs * significance.mcnemar(best["correct"][0], row["correct"][0]))
        significant = low > 0 and (p is None or p < 0.05)
        difference = {"better": best["label"], "worse": row["label"], "points": best["accuracy"] - row["accuracy"]}
        differences.append({**difference, "low": low, "high": high, "p": p, "significant": significant})
        differences[-1]["verdict"] = _verdict(place, differences[-1])
    return differences


def _verdict(place: int, d: dict[str, Any]) -> str:
    size = f"{100 * d['points']:.2f} points ({100 * d['low']:.2f} to {100 * d['high']:.2f}"
    size += ")" if d["p"] is None else f", McNemar p = {d['p']:.2g})"
    if d["significant"]:
        return f"1 is better than {place} by {size}"
    return f"1 and {place}: no significant difference, {size}"
