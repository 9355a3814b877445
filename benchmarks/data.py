"""The images that are measured on: FER-2013 where it is prepared, drawn faces of the same number elsewhere."""

import tempfile
from pathlib import Path

from pipeline.core import paths
from pipeline.core.config import compose
from pipeline.data import archive, arrays
from pipeline.download import synthetic
from pipeline.preprocess import stage


def folder() -> Path:
    """Return a folder of arrays with 28,709 training images."""
    real = paths.arrays("fer2013")
    if (real / "data.json").exists():
        return real
    drawn = paths.HOME / "outputs" / "benchmark" / "faces"
    if not (drawn / "data.json").exists():
        data = compose([])[0].data.model_copy(update={"name": "faces"})
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary) / "faces.zip"
            synthetic.draw(packed, dict(data.counts), seed=1)
            stage.write(archive.read(packed), data, drawn)
    return drawn


def name() -> str:
    return arrays.identity(folder())["name"]
