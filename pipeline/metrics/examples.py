"""Single images of a split with their predictions, for inspection."""

from typing import Any

import numpy as np

from pipeline.data.arrays import Split


def random_examples(
    split: Split, probabilities: np.ndarray, classes: list[str], n: int, seed: int
) -> list[dict[str, Any]]:
    """Return `n` images drawn with `seed`, for manual inspection; the notebook inspects seven."""
    sample = np.random.default_rng(seed).choice(len(split), min(n, len(split)), replace=False)
    return [example(split, probabilities, classes, i) for i in sample]


def confident_mistakes(split: Split, probabilities: np.ndarray, classes: list[str], n: int) -> list[dict[str, Any]]:
    """Return the `n` images with the most confident wrong predictions, the most confident first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != split.labels)
    worst = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:n]
    return [example(split, probabilities, classes, i) for i in worst]


def example(split: Split, probabilities: np.ndarray, classes: list[str], i: int) -> dict[str, Any]:
    """Return image `i` with its prediction, as plots.inspection takes it."""
    best = int(probabilities[i].argmax())
    return {
        "pixels": split.images(slice(i, i + 1))[0],
        "truth": classes[split.labels[i]],
        "prediction": classes[best],
        "confidence": float(probabilities[i, best]),
        "probabilities": {name: float(p) for name, p in zip(classes, probabilities[i], strict=True)},
    }
