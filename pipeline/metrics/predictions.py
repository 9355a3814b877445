"""What a network predicts for each image of a split, kept so that runs can be compared on the same images."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError


class Predicted(NamedTuple):
    """Probabilities (n, k) float32 and true labels (n,) of a split's images, in the order of the arrays."""

    probabilities: np.ndarray
    labels: np.ndarray


def save(path: Path, splits: dict[str, Predicted]) -> None:
    """Write the predictions of each split into the file `path` (.npz)."""
    arrays = {f"{name}_{field}": getattr(p, field) for name, p in splits.items() for field in Predicted._fields}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    files.replace(path, content.getvalue())


def load(path: Path) -> dict[str, Predicted]:
    """Return the predictions in the file `path`, by split."""
    try:
        arrays = files.read_npz(path)
        names = [name.removesuffix("_labels") for name in arrays if name.endswith("_labels")]
        return {name: Predicted(arrays[f"{name}_probabilities"], arrays[f"{name}_labels"]) for name in names}
    except (OSError, KeyError, PipelineError) as error:
        raise PipelineError(f"{path} holds no predictions that can be read: {error}") from error
