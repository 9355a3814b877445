"""MLflow: one run for each training, kept in mlruns/ or on a tracking server."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import waiting
from pipeline.core.nested import flatten
from pipeline.core.schema import Tracking
from pipeline.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# A server that does not answer is given up after seconds; MLflow's own bounds add up to minutes.
_BOUNDS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_ALIVE_ON = "pipeline.host_and_pid"
EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "images_per_second")


class Stopped(Exception):  # noqa: N818 (no error)
    """A training was ended on purpose before its last epoch; the message says after which one, and why."""


class Tracker:
    """The store of runs that a configuration names."""

    def __init__(self, tracking: Tracking):
        """Open the store, creating it and its experiment where they are missing.

        Raises PipelineError where a tracking server does not answer.
        """
        for name, value in _BOUNDS.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        self.uri = tracking.uri or store.uri(paths.MLRUNS / store.DATABASE)
        self.name = without_password(self.uri)
        self.experiment = tracking.experiment
        artifacts = None if tracking.uri else (paths.MLRUNS / "artifacts").as_uri()
        mlflow.set_tracking_uri(self.uri)
        # The client makes a missing database, and processes that do so at the same time break it.
        with waiting(paths.MLRUNS / "create.lock"):
            if not tracking.uri:
                store.relocate(paths.MLRUNS)
            try:
                self.client: MlflowClient = mlflow.MlflowClient(self.uri)
                self.experiment_id = self._experiment_id(artifacts)
            except mlflow.MlflowException as error:
                raise PipelineError(
                    f"no tracking store at {self.name}: {_reason(error)}\n"
                    "start the server, or set choices.tracking to local in params.yaml"
                ) from error
        self._close_dead_runs()

    def _experiment_id(self, artifacts: str | None) -> str:
        if found := self.client.get_experiment_by_name(self.experiment):
            return found.experiment_id
        return self.client.create_experiment(self.experiment, artifacts)

    def _close_dead_runs(self) -> None:
        """Mark as KILLED the runs of this machine whose process is gone: nobody else will."""
        import psutil

        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            host, _, pid = run.data.tags.get(_ALIVE_ON, "").rpartition(" ")
            if host == socket.gethostname() and not psutil.pid_exists(int(pid)):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def create(self, name: str, parameters: dict[str, Any], tags: dict[str, str], parent: str | None = None) -> str:
        """Create a run, below `parent`, with the nested `parameters`, flattened to dotted names; return its id."""
        from mlflow.entities import Param

        tags = {**tags, _ALIVE_ON: _alive_on()} | ({"mlflow.parentRunId": parent} if parent else {})
        run_id = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id
        self.client.log_batch(run_id, params=[Param(k, str(v)[:6000]) for k, v in flatten(parameters).items()])
        return run_id

    def exists(self, run_id: str) -> bool:
        """Tell whether this store has the run: it may be another one than that of the training."""
        import mlflow

        try:
            return self.client.get_run(run_id).info.lifecycle_stage == "active"
        except mlflow.MlflowException:
            return False

    @contextmanager
    def active(self, run_id: str, system_metrics: bool = False) -> Iterator[None]:
        """Keep the run RUNNING; it ends FINISHED, FAILED with the error as a tag, or by Ctrl-C or Stopped KILLED.

        Raises PipelineError where the store fails: what was computed stays on disk, and is logged anew when
        the stage is started again.
        """
        import mlflow

        try:
            self.client.set_tag(run_id, _ALIVE_ON, _alive_on())
            with mlflow.start_run(run_id=run_id, nested=True, log_system_metrics=system_metrics):
                try:
                    yield
                    if "error" in self.client.get_run(run_id).data.tags:  # of an earlier start
                        self.client.delete_tag(run_id, "error")
                except BaseException as error:
                    tag, text = "error", f"{type(error).__name__}: {error}"
                    if isinstance(error, Stopped):
                        tag, text = "stopped", str(error)
                    self.client.set_tag(run_id, tag, text[:500])
                    raise
        except (KeyboardInterrupt, Stopped):
            self.client.set_terminated(run_id, "KILLED")
            raise
        except mlflow.MlflowException as error:
            raise PipelineError(
                f"{self.name} does not take the run's record: {_reason(error)}\n"
                "nothing is lost: the same command completes the record when the store is back"
            ) from error

    def log_epochs(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the metrics of the epochs in `history`; logging an epoch again changes nothing.

        A store that does not answer is reported, and does not stop the training: the history is kept in
        history.csv, and the end of the stage logs all of it again.
        """
        import mlflow
        from mlflow.entities import Metric

        metrics = [
            Metric(key, row[key], int(row["time"] * 1000), row["epoch"]) for row in history for key in EPOCH_METRICS
        ]
        try:
            for start in range(0, len(metrics), 1000):
                self.client.log_batch(run_id, metrics=metrics[start : start + 1000])
        except mlflow.MlflowException as error:
            print(f"warning: metrics not logged to {self.name}: {_reason(error)}")

    def log_metrics(self, run_id: str, metrics: dict[str, float], step: int) -> None:
        """Log single numbers by name."""
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(run_id, metrics=[Metric(k, float(v), now, step) for k, v in metrics.items()])

    def log_files(self, run_id: str, files: list[Path], folder: str | None = None) -> None:
        """Store `files` with the run, in `folder` of its artifacts."""
        for file in files:
            self.client.log_artifact(run_id, str(file), folder)

    def fetch(self, where: str, file: str, folder: Path) -> Path:
        """Download the artifact `file` of a training into `folder`; return its path.

        `where` is the training's id or its beginning, or a registered model: models:/NAME@ALIAS, models:/NAME/VERSION.
        Raises PipelineError where there is no such training, or it has no such file.
        """
        import mlflow

        run_id = self.training(where)
        try:
            return Path(self.client.download_artifacts(run_id, file, str(folder)))
        except (mlflow.MlflowException, OSError) as error:
            raise PipelineError(f"{where} gives no {file}: {_reason(error)}") from error

    def trainings(self, most: int) -> "list[Run]":
        """Return the newest finished trainings that were scored, at most so many."""
        finished = "attributes.status = 'FINISHED' AND metrics.kept_val_accuracy > 0"
        return list(self.client.search_runs([self.experiment_id], finished, max_results=most))

    def training(self, where: str) -> str:
        """Return the id of the training that `where` names, as in `fetch`; raise PipelineError where there is none."""
        import mlflow

        if found := re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", where):
            name, alias, number = found.groups()
            get = self.client.get_model_version_by_alias if alias else self.client.get_model_version
            try:
                return get(name, alias or number).run_id
            except mlflow.MlflowException as error:
                raise PipelineError(f"{self.name} has no {where}: {_reason(error)}") from error
        if not re.fullmatch(r"[0-9a-f]{6,32}", where):
            raise PipelineError(f"no network {where!r}; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS")
        runs = self.client.search_runs([self.experiment_id], f"attributes.run_id LIKE '{where}%'")
        if len(runs) != 1:
            raise PipelineError(f"{len(runs)} runs of {self.name} have an id that begins with {where}")
        return runs[0].info.run_id

    def describe(self, run_id: str, text: str, picture: str | None = None) -> None:
        """Make `text` (Markdown) what MLflow's UI shows as the run's description, above the artifact `picture`."""
        if picture:
            # The UI takes images from its own address alone: this is how it gets artifacts itself.
            text += f"\n\n![{picture}](get-artifact?path={picture}&run_uuid={run_id})"
        self.client.set_tag(run_id, "mlflow.note.content", text)

    def log_model(self, model: Path) -> None:
        """Store the .h5 file `model` with the active run, as MLflow serves it: pictures in, named probabilities out.

        What answers is this project's code, which is not stored: pipeline/prediction/served.py.
        """
        import warnings

        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
        from mlflow.types.schema import AnyType

        from pipeline.tracking.provenance import versions

        known = versions()
        needs = [f"{name}=={known[name]}" for name in ("tensorflow", "keras", "numpy", "opencv-python-headless")]
        whole = ParamSchema([ParamSpec("whole", DataType.boolean, default=False)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for an example, and would run the network on it
            mlflow.pyfunc.log_model(
                name="model",
                loader_module="pipeline.prediction.served",
                data_path=str(model),
                signature=ModelSignature(Schema([ColSpec(AnyType(), "image")]), params=whole),
                pip_requirements=needs,
            )


def _alive_on() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def _reason(error: Exception) -> str:
    return without_password((str(error).splitlines() or [type(error).__name__])[0][:200])


def without_password(text: str) -> str:
    """Return `text` with user and password of any address in it left out."""
    return re.sub(r"://[^/@\s]*@", "://***@", text)
