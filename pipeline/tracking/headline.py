"""The metrics of a run in MLflow."""

from typing import Any

METRICS = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")


def headline(scores: dict[str, Any]) -> dict[str, float]:
    """Return the main metrics of each split in `scores` by their names in MLflow, such as `val/accuracy`.

    They are metrics of the saved weights; `val_accuracy`, without a slash, is logged in each epoch. metrics.json has
    all metrics.
    """
    splits = [split for split in ("val", "test", "test_clean", "kaggle_test") if split in scores]
    numbers = {f"{split}/{metric}": scores[split][metric] for split in splits for metric in METRICS}
    for split in {"val", "test"} & set(splits):
        numbers |= {f"{split}/f1_{emotion}": each["f1"] for emotion, each in scores[split]["emotions"].items()}
    return numbers
