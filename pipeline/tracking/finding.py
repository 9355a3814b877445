"""Finds runs in a store, and downloads their artifacts."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError
from pipeline.tracking.failures import reason

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.tracking.tracker import Tracker


def newest(tracker: "Tracker", most: int) -> "list[Run]":
    """Return the newest finished training runs, at most `most`."""
    finished = "attributes.status = 'FINISHED' AND metrics.`val/accuracy` > 0"
    return list(tracker.client.search_runs(tracker.experiments(), finished, max_results=most))


def experiment(tracker: "Tracker") -> str:
    """Return the id of the experiment of params.yaml's dataset; if it has no runs, of the newest run of this project.

    After `make demo` the only runs are those on synthetic faces.
    """
    for experiments in ([tracker.experiment_id], tracker.experiments()):
        if runs := tracker.client.search_runs(experiments, max_results=1):
            return runs[0].info.experiment_id
    return tracker.experiment_id


def training(tracker: "Tracker", name: str) -> str:
    """Return the run id of `name`: the beginning of an id, or a registered model.

    Registered models are models:/NAME@ALIAS and models:/NAME/VERSION. Raises PipelineError if nothing matches.
    """
    import mlflow

    if found := re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", name):
        model, alias, number = found.groups()
        get = tracker.client.get_model_version_by_alias if alias else tracker.client.get_model_version
        try:
            run_id = get(model, alias or number).run_id
        except mlflow.MlflowException as error:
            raise PipelineError(f"{tracker.name} has no {name}: {reason(error)}") from error
        if not run_id:
            raise PipelineError(f"{name} belongs to no run; accepted: a model that a training logged")
        return run_id
    if not re.fullmatch(r"[0-9a-f]{6,32}", name):
        raise PipelineError(f"no model {name!r}; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS")
    runs = tracker.client.search_runs(tracker.experiments(), f"attributes.run_id LIKE '{name}%'")
    if len(runs) != 1:
        raise PipelineError(f"{len(runs)} runs of {tracker.name} have an id that begins with {name}")
    return runs[0].info.run_id


def fetch(tracker: "Tracker", name: str, file: str, folder: Path) -> Path:
    """Download the artifact `file` of the training run `name` into `folder`, and return its path.

    Raises PipelineError if there is no such run, or it has no such file.
    """
    import mlflow

    run_id = training(tracker, name)
    try:
        return Path(tracker.client.download_artifacts(run_id, file, str(folder)))
    except (mlflow.MlflowException, OSError) as error:
        raise PipelineError(f"{name} has no {file}: {reason(error)}") from error


def search(tracker: "Tracker", text: str) -> "list[Run]":
    """Return all runs that match the filter `text`; raise PipelineError if the filter is not valid."""
    import mlflow

    runs: list[Run] = []
    token: str | None = None
    try:
        while token is None or token:
            page = tracker.client.search_runs(tracker.experiments(), text, page_token=token)
            runs, token = [*runs, *page], page.token or ""
    except mlflow.MlflowException as error:
        raise PipelineError(f"{text!r} is not a valid MLflow filter: {reason(error)}") from error
    return runs


def artifact(tracker: "Tracker", run: "Run", name: str, folder: str) -> Path:
    """Download the artifact `name` of `run` into `folder`; raise PipelineError if it is not there."""
    import mlflow

    try:
        return Path(tracker.client.download_artifacts(run.info.run_id, name, folder))
    except (mlflow.MlflowException, OSError) as error:
        raise PipelineError(
            f"run {run.info.run_name!r} ({run.info.run_id[:8]}) has no {name}; only the committed run has "
            "predictions on test, and the artifacts of another store may be on another machine"
        ) from error
