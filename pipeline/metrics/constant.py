"""Recognizes a model that predicts one class for every image."""

from typing import Any


def constant_class(scores: dict[str, Any]) -> str | None:
    """Return the one class that is predicted in `scores`, the metrics of a split; None if there are several.

    Only a class that is predicted for every image has a recall of 1 while all others have 0. The split must have
    images of two classes or more.
    """
    recalls = {name: each["recall"] for name, each in scores["emotions"].items() if each["images"]}
    if len(recalls) < 2 or sorted(recalls.values()) != [0.0] * (len(recalls) - 1) + [1.0]:
        return None
    return max(recalls, key=lambda name: recalls[name])


EPOCHS = 3
"""Epochs after which a training that still predicts one class is worth a warning."""


def still_constant(history: list[dict[str, float]], images: list[int]) -> bool:
    """Return whether the model predicted one class for every image of val after each of the first epochs.

    `history` must have exactly these epochs. `images` has the number of images of each class in val: a model that
    predicts one class has its share as accuracy.
    """
    shares = [count / sum(images) for count in images]
    return len(history) == EPOCHS and any(
        all(abs(row["val_accuracy"] - share) < 1e-6 for row in history) for share in shares
    )
