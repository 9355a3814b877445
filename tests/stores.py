"""MLflow stores in folders of their own, opened as the pipeline does it."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from pipeline.core import paths
from pipeline.core.schema import Tracking
from pipeline.tracking.epochs import CURVES
from pipeline.tracking.tracker import Tracker

ROW = {key: 0.5 for key in CURVES.values()} | {"seconds": 1.0}


@pytest.fixture(scope="session")
def empty(tmp_path_factory) -> Path:
    """Return an MLflow database without experiments of ours: making one takes seconds, copying it does not."""
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def checkout(tmp_path, empty, monkeypatch):
    """Return the function that opens the store of the checkout tmp_path/name, made where it is missing."""

    def opened(name: str, experiment: str = "faces") -> Tracker:
        from mlflow.tracking._tracking_service import utils

        utils._artifact_repos_cache.clear()  # as in a new process
        mlruns = tmp_path / name / "mlruns"
        if not mlruns.exists():
            mlruns.mkdir(parents=True)
            shutil.copyfile(empty, mlruns.parent / "mlflow.db")
        monkeypatch.setattr(paths, "MLRUNS", mlruns)
        return Tracker(Tracking(uri=None, experiment=experiment))

    return opened


def epochs(n: int) -> list[dict[str, float]]:
    return [{**ROW, "epoch": i + 1, "loss": 1 / (i + 1), "time": 1_700_000_000.5 + i} for i in range(n)]


def train(tracker: Tracker, name: str, folder: Path) -> tuple[str, str]:
    """Record a run of three epochs with data, a file and a model; return the ids of the run and of the model."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput

    run_id = tracker.create(name, {"train": {"epochs": 3}}, {"source": "manual"})
    file = folder / f"{name}.txt"
    file.write_text(f"the artifact of {name}")
    client = tracker.client
    with tracker.active(run_id):
        tracker.epochs.log(run_id, epochs(3))
        tracker.log_files(run_id, [file], "figures")
        data = Dataset("faces", "digest", "local", "{}")
        client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        model = client.create_logged_model(tracker.experiment_id, "model", run_id, params={"filters": "4"})
        client.log_model_artifact(model.model_id, str(file))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 3)])
    return run_id, model.model_id


def register(tracker: Tracker, model_id: str, *aliases: str) -> int:
    """Make the model a version of the registered model `seed`, under `aliases`; return its number."""
    import mlflow

    mlflow.set_tracking_uri(tracker.uri)
    client = tracker.client
    if not client.search_registered_models("name = 'seed'"):
        client.create_registered_model("seed", tags={"task": "emotions"}, description="the seed's network")
    version = int(mlflow.register_model(f"models:/{model_id}", "seed").version)
    for alias in aliases:
        client.set_registered_model_alias("seed", alias, str(version))
    return version


def text(tracker: Tracker, run_id: str, name: str) -> str:
    """Return what the artifact figures/name.txt of the run holds."""
    return Path(tracker.client.download_artifacts(run_id, f"figures/{name}.txt")).read_text()


def dump(mlruns: Path) -> list[str]:
    """Return all that the store's database holds, as SQL."""
    connection = sqlite3.connect(mlruns.parent / "mlflow.db")
    lines = list(connection.iterdump())
    connection.close()
    return lines


def files(mlruns: Path) -> dict[str, tuple[int, bytes]]:
    """Return the time and the content of each file of the store but locks."""
    kept = [mlruns.parent / "mlflow.db", *(p for p in mlruns.rglob("*") if p.is_file())]
    return {
        str(p.relative_to(mlruns.parent)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in kept
        if p.suffix not in (".lock", ".pid")
    }
