"""MLflow: one run for each training, kept in mlruns/ or on a tracking server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.core.nested import flatten
from pipeline.core.redact import redact
from pipeline.core.schema import Tracking
from pipeline.tracking import alive, store
from pipeline.tracking.epochs import Epochs
from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A server that does not answer is given up after seconds; MLflow's own bounds add up to minutes, and one that is
# busy may ask for hours.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_ALIVE_ON = "pipeline.host_and_pid"


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
        self.name = redact(self.uri)
        self.experiment = tracking.experiment
        if self.name != self.uri:  # MLflow prints the address of each run that ends, with the password in it
            os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        artifacts = None if tracking.uri else (paths.MLRUNS / "artifacts").as_uri()
        mlflow.set_tracking_uri(self.uri)
        # Processes that make a missing database, or an experiment, at the same time would break it.
        with file_lock(paths.MLRUNS / "create.lock"):
            try:
                if not tracking.uri:
                    store.make(paths.MLRUNS)
                    store.relocate(paths.MLRUNS)
                self.client: MlflowClient = mlflow.MlflowClient(self.uri)
                self.experiment_id = self._experiment_id(artifacts)
                self._close_dead_runs()
            except failures() as error:
                ways = "\nstart the server, or set choices.tracking to local in params.yaml" if tracking.uri else ""
                raise PipelineError(f"no tracking store at {self.name}: {reason(error)}{ways}") from error
        self.epochs = Epochs(self.client, self.name)

    def _experiment_id(self, artifacts: str | None) -> str:
        if found := self.client.get_experiment_by_name(self.experiment):
            return found.experiment_id
        return self.client.create_experiment(self.experiment, artifacts)

    def _close_dead_runs(self) -> None:
        """Mark as KILLED the runs of this machine whose process is gone: nobody else will."""
        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            if alive.is_dead(run.data.tags.get(_ALIVE_ON, "")):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def create(self, name: str, parameters: dict[str, Any], tags: dict[str, str], parent: str | None = None) -> str:
        """Create a run, below `parent`, with the nested `parameters`, flattened to dotted names; return its id."""
        from mlflow.entities import Param

        tags = {**tags, _ALIVE_ON: alive.mark()} | ({"mlflow.parentRunId": parent} if parent else {})
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
        except failures() as error:
            raise PipelineError(
                f"{self.name} fails: {reason(error)}; the same command goes on when it is back"
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
            self.client.set_tag(run_id, _ALIVE_ON, alive.mark())
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
                    if not isinstance(error, failures()):  # or the store would be waited for once more
                        self.client.set_tag(run_id, tag, text[:500])
                    raise
        except (KeyboardInterrupt, Stopped):
            self.client.set_terminated(run_id, "KILLED")
            raise
        except failures() as error:
            if ended is not None and not isinstance(ended, failures()):
                raise ended from error  # what went wrong first is what must be told
            raise PipelineError(
                f"{self.name} does not take the run's record: {reason(error)}\n"
                "nothing is lost: the same command completes the record when the store is back"
            ) from error

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

    def describe(self, run_id: str, text: str, picture: str | None = None) -> None:
        """Make `text` (Markdown) what MLflow's UI shows as the run's description, above the artifact `picture`."""
        if picture:
            # The UI takes images from its own address alone: this is how it gets artifacts itself.
            text += f"\n\n![{picture}](get-artifact?path={picture}&run_uuid={run_id})"
        self.client.set_tag(run_id, "mlflow.note.content", text)

    def log_model(self, model: Path) -> None:
        """Store the .h5 file `model` with the active run, as MLflow serves it: pictures in, named probabilities out.

        What answers is this project's code, which is not stored: pipeline/serve/served.py.
        """
        import warnings

        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
        from mlflow.types.schema import AnyType

        from pipeline.core.provenance import versions

        known = versions()
        needs = [f"{name}=={known[name]}" for name in ("tensorflow", "keras", "numpy", "opencv-python-headless")]
        whole = ParamSchema([ParamSpec("whole", DataType.boolean, default=False)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for an example, and would run the network on it
            mlflow.pyfunc.log_model(
                name="model",
                loader_module="pipeline.serve.served",
                data_path=str(model),
                signature=ModelSignature(Schema([ColSpec(AnyType(), "image")]), params=whole),
                pip_requirements=needs,
            )
