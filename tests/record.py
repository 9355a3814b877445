"""All that MLflow has of a project's runs, but times, ids and what names the process."""

import re
from typing import TYPE_CHECKING, Any

from pipeline.tracking import store
from tests.conftest import Project

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NOT_COMPARED = ("pipeline.host_and_pid", "mlflow.user", "code", "checkpoint", "sweep", "command")
"""Tags that name a process or a folder, or the code, which a breakpoint is part of."""
ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")
MINUTES = re.compile(r"\d+\.\d +\|$", re.MULTILINE)
"""The last column of a sweep's table, in its description."""


def of(project: Project) -> list[dict[str, Any]]:
    """Return the record of each run of `project`, by its name."""
    from mlflow import MlflowClient

    client = MlflowClient(store.uri(project.path("mlflow.db")))
    (experiment,) = [e.experiment_id for e in client.search_experiments() if e.name == "synthetic"]
    runs = sorted(client.search_runs([experiment]), key=lambda run: (run.info.run_name, run.info.start_time))
    names = {run.info.run_id: run.info.run_name for run in runs}
    return [_record(client, run, names) for run in runs]


def _record(client: "MlflowClient", run: "Run", names: dict[str, str]) -> dict[str, Any]:
    run_id, data = run.info.run_id, run.data
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    named = lambda text: MINUTES.sub("|", ID.sub(lambda found: names.get(found[0], "an id"), text))  # noqa: E731
    histories = {
        key: client.get_metric_history(run_id, key) for key in data.metrics if key != "train/images_per_second"
    }
    return {
        "run": (run.info.run_name, run.info.status, run.info.lifecycle_stage),
        "params": data.params,
        "tags": {key: named(value) for key, value in data.tags.items() if key not in NOT_COMPARED},
        "metrics": {key: [(point.step, point.value) for point in history] for key, history in histories.items()},
        "datasets": sorted((i.dataset.name, i.dataset.digest, i.tags[0].value) for i in run.inputs.dataset_inputs),
        "outputs": [(named(output.model_id), output.step) for output in run.outputs.model_outputs],
        "artifacts": _files(client, run_id),
        "models": [
            {
                "model": (model.name, model.status, model.params),
                "metrics": sorted((m.key, m.value, m.step, m.dataset_name) for m in model.metrics or ()),
                "files": sorted(file.path for file in client.list_logged_model_artifacts(model.model_id)),
            }
            for model in models
        ],
    }


def _files(client: "MlflowClient", run_id: str, folder: str | None = None) -> list[str]:
    found = client.list_artifacts(run_id, folder)
    return sorted(name for f in found for name in (_files(client, run_id, f.path) if f.is_dir else [f.path]))
