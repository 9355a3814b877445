"""The metrics of a run's saved weights in MLflow."""

from typing import Any

METRICS = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")
OTHER_TESTS = ("test_clean", "kaggle_test")


def headline(scores: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the main metrics of val and test in `scores`: split -> name in MLflow, such as `val/accuracy` -> value.

    results/details.json has all metrics, and the tables in per_class/ those of each class.
    """
    found: dict[str, dict[str, float]] = {
        split: {f"{split}/{metric}": scores[split][metric] for metric in METRICS}
        for split in ("val", "test")
        if split in scores
    }
    if "test" in found:
        found["test"] |= {f"test/{split}_accuracy": scores[split]["accuracy"] for split in OTHER_TESTS}
        found["test"]["test/corrupted_accuracy"] = scores["corrupted"]["mean_accuracy"]
    return found


def per_class(scores: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the metrics of each class on one split as the columns of a table: class, precision, recall, f1, images."""
    rows = [{"class": name, **each} for name, each in scores["emotions"].items()]
    return {column: [row[column] for row in rows] for column in rows[0]}
