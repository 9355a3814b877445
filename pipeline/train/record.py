"""results/run.json: the record of a training."""

from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.schema import TrainingConfig
from pipeline.core.section import Section
from pipeline.core.validation import validate


class Dataset(Section):
    """The dataset of a training: its name, and the SHA-256 of its pixels and labels."""

    name: str
    digest: str


class RunRecord(Section):
    """A training: its MLflow run, dataset, settings and duration, and the epoch and metrics of the saved weights.

    `val_scores` has the metrics of pipeline/metrics/scores.py on val; `epoch` counts from 1.
    """

    mlflow_run_id: str
    mlflow_experiment: str
    checkpoint: str
    data: Dataset
    config: TrainingConfig
    seconds: float
    epoch: int
    val_scores: dict[str, Any]
    git_commit: str | None
    versions: dict[str, str]
    hardware: dict[str, Any]


def write(path: Path, record: RunRecord) -> None:
    """Write `record` to the JSON file `path`."""
    files.write_json(path, record.model_dump())


def read(path: Path) -> RunRecord:
    """Return the record in the file `path`; raise PipelineError if it is missing or not valid."""
    return validate(RunRecord, files.read_json(files.require_file(path)), str(path))
