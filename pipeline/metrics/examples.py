"""Single images of a split with their predictions, to be looked at."""

from typing import Any

import numpy as np

from pipeline.data.arrays import Split


def inspected(split: Split, probabilities: np.ndarray, classes: list[str], n: int, seed: int) -> list[dict[str, Any]]:
    """Return `n` images drawn by `seed`, to be looked at by hand as the notebook project did with seven."""
    chosen = np.random.default_rng(seed).choice(len(split), min(n, len(split)), replace=False)
    return [face(split, probabilities, classes, i) for i in chosen]


def confident_mistakes(split: Split, probabilities: np.ndarray, classes: list[str], n: int) -> list[dict[str, Any]]:
    """Return the `n` images on which the network is most sure of a wrong emotion, the surest first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != split.labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:n]
    return [face(split, probabilities, classes, i) for i in surest]


def face(split: Split, probabilities: np.ndarray, classes: list[str], i: int) -> dict[str, Any]:
    """Return image `i` with what the network says of it, as plots.inspection takes it."""
    best = int(probabilities[i].argmax())
    return {
        "pixels": split.images(slice(i, i + 1))[0],
        "truth": classes[split.labels[i]],
        "prediction": classes[best],
        "confidence": float(probabilities[i, best]),
        "probabilities": {name: float(p) for name, p in zip(classes, probabilities[i], strict=True)},
    }
