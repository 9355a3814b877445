"""MLflow: one run for each training, kept in mlruns/ or on a tracking server."""

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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

# A server that does not answer is given up after seconds; MLflow's own bounds add up to minutes, and one that is
# busy may ask for hours.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
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
        if self.name != self.uri:  # MLflow prints the address of each run that ends, with the password in it
            os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        artifacts = None if tracking.uri else (paths.MLRUNS / "artifacts").as_uri()
        mlflow.set_tracking_uri(self.uri)
        # Processes that make a missing database, or an experiment, at the same time would break it.
        with waiting(paths.MLRUNS / "create.lock"):
            try:
                if not tracking.uri:
                    store.make(paths.MLRUNS)
                    store.relocate(paths.MLRUNS)
                self.client: MlflowClient = mlflow.MlflowClient(self.uri)
                self.experiment_id = self._experiment_id(artifacts)
                self._close_dead_runs()
            except _failures() as error:
                ways = "\nstart the server, or set choices.tracking to local in params.yaml" if tracking.uri else ""
                raise PipelineError(f"no tracking store at {self.name}: {_reason(error)}{ways}") from error
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="epochs")
        self._following: Future[None] | None = None
        self._logged: Counter[str] = Counter()

    def _experiment_id(self, artifacts: str | None) -> str:
        if found := self.client.get_experiment_by_name(self.experiment):
            return found.experiment_id
        return self.client.create_experiment(self.experiment, artifacts)

    def _close_dead_runs(self) -> None:
        """Mark as KILLED the runs of this machine whose process is gone: nobody else will."""
        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            host, pid, started = [*run.data.tags.get(_ALIVE_ON, "").split(" "), "", "", ""][:3]
            if host == socket.gethostname() and not _is_alive(int(pid), int(started or 0)):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def create(self, name: str, parameters: dict[str, Any], tags: dict[str, str], parent: str | None = None) -> str:
        """Create a run, below `parent`, with the nested `parameters`, flattened to dotted names; return its id."""
        from mlflow.entities import Param

        tags = {**tags, _ALIVE_ON: _alive_on()} | ({"mlflow.parentRunId": parent} if parent else {})
        with self._asked():
            run_id = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id
            self.client.log_batch(run_id, params=[Param(k, str(v)[:6000]) for k, v in flatten(parameters).items()])
        return run_id

    def exists(self, run_id: str) -> bool:
        """Tell whether this store has the run: it may be another one than that of the training."""
        import mlflow

        with self._asked():
            try:
                return self.client.get_run(run_id).info.lifecycle_stage == "active"
            except mlflow.MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return False
                raise  # a store that fails has not said that the run is not there

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Raise PipelineError where the store fails."""
        try:
            yield
        except _failures() as error:
            raise PipelineError(
                f"{self.name} fails: {_reason(error)}; the same command goes on when it is back"
            ) from error

    @contextmanager
    def active(self, run_id: str, system_metrics: bool = False) -> Iterator[None]:
        """Keep the run RUNNING; it ends FINISHED, FAILED with the error as a tag, or by Ctrl-C or Stopped KILLED.

        Raises PipelineError where the store fails: what was computed stays on disk, and is logged anew when
        the stage is started again.
        """
        import mlflow

        ended: BaseException | None = None
        try:
            self.client.set_tag(run_id, _ALIVE_ON, _alive_on())
            with mlflow.start_run(run_id=run_id, nested=True, log_system_metrics=system_metrics):
                try:
                    yield
                    if "error" in self.client.get_run(run_id).data.tags:  # of an earlier start
                        self.client.delete_tag(run_id, "error")
                except BaseException as error:
                    ended = error
                    tag, text = "error", f"{type(error).__name__}: {error}"
                    if isinstance(error, Stopped):
                        tag, text = "stopped", str(error)
                    if not isinstance(error, _failures()):  # or the store would be waited for once more
                        self.client.set_tag(run_id, tag, text[:500])
                    raise
        except (KeyboardInterrupt, Stopped):
            self.client.set_terminated(run_id, "KILLED")
            raise
        except _failures() as error:
            if ended is not None and not isinstance(ended, _failures()):
                raise ended from error  # what went wrong first is what must be told
            raise PipelineError(
                f"{self.name} does not take the run's record: {_reason(error)}\n"
                "nothing is lost: the same command completes the record when the store is back"
            ) from error

    def follow(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the newest epochs of `history` beside the training, which does not wait for a store that is slow or away.

        What the store does not take is reported, and goes with a later epoch, or with `log_epochs` at the end.
        """
        if self._following is None or self._following.done():
            self._following = self._beside.submit(self._log_new, run_id, history[self._logged[run_id] :])

    def _log_new(self, run_id: str, rows: list[dict[str, float]]) -> None:
        try:
            self._log(run_id, rows)
            self._logged[run_id] = int(rows[-1]["epoch"])
        except _failures() as error:
            print(f"warning: metrics not logged to {self.name}: {_reason(error)}")
            raise

    def log_epochs(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the metrics of all epochs in `history`; logging an epoch again changes nothing."""
        if self._following is not None and not self._following.done():
            self._following.result()  # a store that does not answer is waited for once
        self._log(run_id, history)

    def _log(self, run_id: str, rows: list[dict[str, float]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(key, row[key], int(row["time"] * 1000), row["epoch"]) for row in rows for key in EPOCH_METRICS
        ]
        for start in range(0, len(metrics), 1000):  # the most that MLflow takes at once
            self.client.log_batch(run_id, metrics=metrics[start : start + 1000])

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


def _failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises where its store fails: also what the libraries below it raise."""
    import requests
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (
        MlflowException,
        requests.RequestException,
        SQLAlchemyError,
        UnicodeDecodeError,
    )  # the last: of a damaged file


def _alive_on() -> str:
    import psutil

    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def _is_alive(pid: int, started: int) -> bool:
    """Tell whether the process runs that began then, in seconds since 1970: its number may have gone to another one."""
    import psutil

    try:
        return psutil.pid_exists(pid) if not started else abs(psutil.Process(pid).create_time() - started) < 5
    except psutil.NoSuchProcess:
        return False


def _reason(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    cause = re.search(r"\(Caused by (.*)\)", line)  # of a connection, behind a long address
    return without_password((cause[1] if cause else line)[:200])


def without_password(text: str) -> str:
    """Return `text` with user and password of any address in it left out."""
    return re.sub(r"://[^/@\s]*@", "://***@", text)
