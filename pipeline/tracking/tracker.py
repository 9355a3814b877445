"""Logs runs to MLflow: to mlruns/ or to a tracking server."""

import contextlib
import getpass
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.core.nested import flatten
from pipeline.core.redact import redact
from pipeline.core.schema import Tracking
from pipeline.tracking import alive, store, view
from pipeline.tracking.epochs import Epochs
from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, Run

# Requests to a server that does not answer fail after seconds; MLflow's defaults add up to minutes, and a busy server
# may ask for a wait of hours.
_TIMEOUTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_PROCESS_TAG = "pipeline.host_and_pid"
ATTEMPTS = 10
"""How often a dataset is logged while other processes log the same one."""


class Stopped(Exception):  # noqa: N818 (not an error)
    """A training was stopped on purpose before its last epoch; the message says after which epoch, and why."""


class Tracker:
    """The MLflow store of the configuration."""

    def __init__(self, tracking: Tracking):
        """Open the store; create it and its experiment if they are missing.

        Raises PipelineError if the store fails or a tracking server does not answer.
        """
        for name, value in _TIMEOUTS.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        self.uri = tracking.uri or store.uri(store.database(paths.MLRUNS))
        self.name, self.pages = redact(self.uri), tracking.pages
        self.experiment = tracking.experiment
        if self.name != self.uri:  # MLflow prints the address of each run at its end, with the password
            os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        if not tracking.uri and os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
            print("warning: MLFLOW_TRACKING_URI is set, and has no effect without tracking=server", file=sys.stderr)
        artifacts = None if tracking.uri else (paths.MLRUNS / "artifacts").as_uri()
        mlflow.set_tracking_uri(self.uri)
        # Two processes must not create the database or the experiment at the same time.
        with file_lock(paths.MLRUNS / "create.lock"):
            try:
                if not tracking.uri:
                    store.create(paths.MLRUNS)
                    store.relocate(paths.MLRUNS)
                self.client: MlflowClient = mlflow.MlflowClient(self.uri)
                self.experiment_id = self._experiment_id(artifacts)
                self._close_dead_runs()
            except failures() as error:
                hint = "\nstart the server, or set choices.tracking to local in params.yaml" if tracking.uri else ""
                raise PipelineError(f"no tracking store at {self.name}: {reason(error)}{hint}") from error
        self.epochs = Epochs(self.client, self.name)

    def _experiment_id(self, artifacts: str | None) -> str:
        """Return the id of the experiment, which is created if it is missing, with the tags that MLflow's UI reads."""
        found = self.client.get_experiment_by_name(self.experiment)
        if not found:
            return self.client.create_experiment(self.experiment, artifacts, view.tags())
        for key, value in view.tags().items():
            if found.tags.get(key) != value:
                self.client.set_experiment_tag(found.experiment_id, key, value)
        return found.experiment_id

    def experiments(self) -> list[str]:
        """Return the ids of all experiments of this project: there is one for each dataset."""
        ours = self.client.search_experiments(filter_string=f"tags.{view.PROJECT} = '{view.tags()[view.PROJECT]}'")
        return [found.experiment_id for found in ours]

    def _close_dead_runs(self) -> None:
        """Set the status KILLED for RUNNING runs of this machine whose process has ended."""
        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            if alive.is_dead(run.data.tags.get(_PROCESS_TAG, "")):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def create(
        self,
        name: str,
        parameters: dict[str, Any],
        tags: dict[str, str],
        parent: str | None = None,
        checkpoint: str | None = None,
    ) -> str:
        """Create a run below the run `parent`, with `parameters` flattened to dotted names; return its id.

        If the training `checkpoint` has an unfinished run, because it was killed before it saved the run's id, return
        that one.
        """
        from mlflow.entities import Param

        tags = {**tags, _PROCESS_TAG: alive.mark()} | ({"mlflow.parentRunId": parent} if parent else {})
        tags |= {"mlflow.source.name": tags["source"], "mlflow.source.type": "LOCAL"} if "source" in tags else {}
        with contextlib.suppress(OSError, KeyError):  # a container may run as a user without a name
            tags["mlflow.user"] = getpass.getuser()
        with self._failures_as_errors():
            found: Sequence[Run] = ()
            if checkpoint:
                tags["checkpoint"] = checkpoint
                unfinished = f"tags.checkpoint = '{checkpoint}' AND attributes.status != 'FINISHED'"
                found = self.client.search_runs([self.experiment_id], unfinished, max_results=1)
            run = found[0] if found else self.client.create_run(self.experiment_id, run_name=name, tags=tags)
            run_id = run.info.run_id
            self.client.log_batch(run_id, params=[Param(k, str(v)[:6000]) for k, v in flatten(parameters).items()])
        return run_id

    def exists(self, run_id: str) -> bool:
        """Return whether this store has the run: the training may have started with another store."""
        import mlflow

        with self._failures_as_errors():
            try:
                return self.client.get_run(run_id).info.lifecycle_stage == "active"
            except mlflow.MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return False
                raise  # the store failed: it may have the run

    @contextmanager
    def _failures_as_errors(self) -> Iterator[None]:
        """Raise PipelineError if the store fails."""
        try:
            yield
        except failures() as error:
            raise PipelineError(
                f"{self.name} fails: {reason(error)}; when it works again, the same command resumes"
            ) from error

    @contextmanager
    def active(self, run_id: str) -> Iterator[None]:
        """Set the run to RUNNING, and at the end to FINISHED, FAILED (with a tag `error`) or KILLED (Ctrl-C, Stopped).

        Raises PipelineError if the store fails: results are on disk, and are logged when the stage starts again.
        """
        import mlflow

        raised: BaseException | None = None
        try:
            self.client.set_tag(run_id, _PROCESS_TAG, alive.mark())
            with mlflow.start_run(run_id=run_id, nested=True):
                try:
                    yield
                    if "error" in self.client.get_run(run_id).data.tags:  # from an earlier start
                        self.client.delete_tag(run_id, "error")
                except BaseException as error:
                    raised = error
                    tag, text = "error", f"{type(error).__name__}: {error}"
                    if isinstance(error, Stopped):
                        tag, text = "stopped", str(error)
                    if not isinstance(error, failures()):  # a failed store would time out again
                        self.client.set_tag(run_id, tag, text[:500])
                    raise
        except (KeyboardInterrupt, Stopped):
            self.client.set_terminated(run_id, "KILLED")
            raise
        except failures() as error:
            if raised is not None and not isinstance(raised, failures()):
                raise raised from error  # the first error is the cause
            raise PipelineError(
                f"{self.name} cannot log the run: {reason(error)}\n"
                "nothing is lost: when the store works again, the same command logs the rest"
            ) from error

    def log_metrics(
        self, run_id: str, metrics: dict[str, float], model_id: str | None = None, dataset: "Dataset | None" = None
    ) -> None:
        """Log `metrics` by name: of the run, or of its model on `dataset`; logging them twice has no effect."""
        from mlflow.entities import Metric

        of = {"model_id": model_id, "run_id": run_id if model_id else None}
        on = {"dataset_name": dataset.name, "dataset_digest": dataset.digest} if dataset else {}
        when = self._trained(run_id)
        self.client.log_batch(run_id, metrics=[Metric(k, float(v), when, 0, **of, **on) for k, v in metrics.items()])

    def _trained(self, run_id: str) -> int:
        """Return the time after the last epoch of the run, or after its start, in milliseconds since 1970."""
        points = self.client.get_metric_history(run_id, "train/loss")
        return 1 + max((point.timestamp for point in points), default=self.client.get_run(run_id).info.start_time)

    def log_datasets(self, run_id: str, datasets: "dict[str, Dataset]") -> None:
        """Log `datasets`, by split, as inputs of the run.

        MLflow fails if another process adds the same dataset to the store at the same time: then it is there.
        """
        import time

        import mlflow

        from pipeline.tracking.datasets import as_input

        inputs = [as_input(found, split) for split, found in datasets.items()]
        for attempt in range(ATTEMPTS):
            try:
                self.client.log_inputs(run_id, inputs)
                return
            except mlflow.MlflowException as error:
                if attempt == ATTEMPTS - 1 or not re.search("constraint|Duplicate", str(error)):
                    raise
                time.sleep(0.1 * attempt)

    def log_table(self, run_id: str, columns: dict[str, list[Any]], file: str) -> None:
        """Log a table as the artifact `file`, once: MLflow would append the rows to those of an earlier start."""
        if file not in self.client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", ""):
            self.client.log_table(run_id, columns, file)

    def log_files(self, run_id: str, files: list[Path], folder: str | None = None) -> None:
        """Log `files` as artifacts of the run, in the artifact folder `folder`."""
        for file in files:
            self.client.log_artifact(run_id, str(file), folder)

    def describe(self, run_id: str, text: str, picture: str | None = None) -> None:
        """Set the run's description in MLflow's UI to `text` (Markdown), above the image artifact `picture`."""
        if picture:
            # The UI only loads images from its own address; this is its address of an artifact.
            text += f"\n\n![{picture}](get-artifact?path={picture}&run_uuid={run_id})"
        self.client.set_tag(run_id, "mlflow.note.content", text)
