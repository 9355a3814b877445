"""The metrics by which runs are compared in MLflow."""

from typing import Any


def headline(scores: dict[str, Any]) -> dict[str, float]:
    """Return the numbers by which runs are compared in MLflow, of the splits in `scores`; metrics.json has all of them.

    Those on val are called kept_val_...: val_... are the curves, whose last value is another epoch's.
    """
    splits = {"kept_val": "val", "test": "test", "test_clean": "test_clean", "kaggle_test": "kaggle_test"}
    splits = {name: split for name, split in splits.items() if split in scores}
    keys = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")
    numbers = {f"{name}_{key}": scores[split][key] for name, split in splits.items() for key in keys}
    for name in splits.keys() & {"kept_val", "test"}:
        numbers |= {f"{name}_f1_{e}": v["f1"] for e, v in scores[splits[name]]["emotions"].items()}
    return numbers | ({"inspection_right": scores["inspection"]["right"]} if "inspection" in scores else {})
