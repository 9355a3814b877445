"""How MLflow's UI shows the runs of an experiment: the columns of the list, and the address that opens on it."""

import json

PROJECT = "project"
"""The tag of this project's experiments: a tracking server may have those of others too."""
KEY = "runs"
"""The name of the saved view."""
COLUMNS = {
    "attributes.`Run Name`": 330,
    "metrics.`val/accuracy`": 100,
    "metrics.`test/accuracy`": 100,
    "params.`model.name`": 110,
    "params.`optimizer.learning_rate`": 100,
    "params.`train.batch_size`": 80,
    "params.`train.epochs`": 80,
    "params.`seed`": 60,
    "duration": 80,
    "attributes.`Dataset`": 250,
}
"""The columns of the list, in order, and their widths in pixels, by MLflow's names."""


def tags() -> dict[str, str]:
    """Return the tags of an experiment: MLflow's UI reads a saved view and the main metric from them."""
    view = {"selectedColumns": list(COLUMNS), "columnOrder": list(COLUMNS), "columnWidths": COLUMNS}
    return {
        PROJECT: "facial-emotion",
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": "val/accuracy",
        f"mlflow.sharedViewState.{KEY}": json.dumps(view),
    }


def address(server: str, experiment_id: str) -> str:
    """Return the address of the experiment's list of runs, which opens in the mode for model training.

    Without a mode in the address, a browser that has not been there opens in the mode for GenAI, which shows no runs.
    """
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"
