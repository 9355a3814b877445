"""The saved predictions of a split, to compare runs on the same images."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError


class Predictions(NamedTuple):
    """Probabilities (n, k) float32 and true labels (n,) of a split's images, in the order of the arrays."""

    probabilities: np.ndarray
    labels: np.ndarray


def save(path: Path, predicted: Predictions) -> None:
    """Write the predictions of one split to the file `path` (.npz)."""
    content = io.BytesIO()
    np.savez_compressed(content, **predicted._asdict())
    files.replace(path, content.getvalue())


def load(path: Path) -> Predictions:
    """Return the predictions in the file `path`; raise PipelineError if they cannot be read."""
    try:
        return Predictions(**files.read_npz(path))
    except (OSError, TypeError, PipelineError) as error:
        raise PipelineError(f"{path} has no readable predictions: {error}") from error
