"""The metrics by which runs are compared in MLflow."""

from typing import Any

METRICS = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")


def headline(scores: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of the splits in `scores` as MLflow names them: `val/accuracy`; metrics.json has all of them.

    They are those of the saved weights; val_accuracy without the slash is the curve over the epochs.
    """
    splits = [split for split in ("val", "test", "test_clean", "kaggle_test") if split in scores]
    numbers = {f"{split}/{metric}": scores[split][metric] for split in splits for metric in METRICS}
    for split in {"val", "test"} & set(splits):
        numbers |= {f"{split}/f1_{emotion}": each["f1"] for emotion, each in scores[split]["emotions"].items()}
    return numbers
