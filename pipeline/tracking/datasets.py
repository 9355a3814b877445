"""The splits of a dataset as MLflow's datasets: name, digest, source, sizes and classes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core import paths
from pipeline.core.constants import IMAGE_SIZE
from pipeline.data import arrays

if TYPE_CHECKING:
    from mlflow.entities import Dataset, DatasetInput

CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}


def dataset_name(data: str, classes: list[str]) -> str:
    """Return the name of a dataset in MLflow: with `classes`, if they are not all that the dataset has."""
    return data if set(classes) == set(arrays.names(paths.arrays(data))) else "-".join([data, *sorted(classes)])


def dataset(data: dict[str, str], classes: list[str], split: str) -> "Dataset":
    """Return `split` of the dataset with the name and the digest in `data`.

    The digest of the pixels and labels of all splits is shortened as in the tables of README.md.
    """
    from mlflow.entities import Dataset

    folder = paths.arrays(data["name"])
    labels = arrays.load(folder, split, classes).labels
    images = dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    spec = {"dtype": "uint8", "shape": [-1, IMAGE_SIZE, IMAGE_SIZE]}
    pixels = json.dumps([{"name": "pixels", "type": "tensor", "tensor-spec": spec}])
    return Dataset(
        name=f"{dataset_name(data['name'], classes)} {split}",
        digest=data["digest"][:12],
        source_type="local",
        source=json.dumps({"uri": Path(folder, f"{split}.npy").as_uri()}),
        schema=json.dumps({"mlflow_tensorspec": {"features": pixels, "targets": None}}),
        profile=json.dumps({"images": len(labels), **images}),
    )


def as_input(found: "Dataset", split: str) -> "DatasetInput":
    """Return the dataset as the input of a run."""
    from mlflow.entities import DatasetInput, InputTag

    return DatasetInput(found, [InputTag("mlflow.data.context", CONTEXTS[split])])
