"""MLflow's model registry: the best model of a data set stands there under the alias `champion`.

The rule: a training becomes champion when its accuracy on val is higher than the champion's on the same images.
Test decides nothing. On other images than the champion's (another digest) there is nothing to compare, and the
newer one takes its place. Earlier champions stay, as earlier versions.
"""

from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

CHAMPION = "champion"


def name(data: str, classes: list[str]) -> str:
    """Return what the registry calls the models of a data set: its name, and the emotions where they are not all."""
    return data if set(classes) == set(EMOTIONS) else "-".join([data, *sorted(classes)])


def offer(tracker: "Tracker", run_id: str, data: dict[str, str], classes: list[str], val_accuracy: float) -> str | None:
    """Make the model of a training the champion if the rule says so; return the version's address if it did.

    `data` is the data set's name and digest, `val_accuracy` a share from 0 to 1, of the weights that were kept.
    Raises PipelineError where the store does not take it.
    """
    import mlflow

    model = name(data["name"], classes)
    tags = {"val_accuracy": repr(val_accuracy), "data_digest": data["digest"], "training": run_id}
    try:
        with file_lock(paths.MLRUNS / "registry.lock"):
            best = _champion(tracker, model)
            if best.get("data_digest") == data["digest"] and val_accuracy <= float(best["val_accuracy"]):
                return None
            version = mlflow.register_model(f"runs:/{run_id}/model", model, tags=tags).version
            tracker.client.update_registered_model(model, __doc__)
            tracker.client.set_registered_model_alias(model, CHAMPION, version)
    except failures() as error:
        raise PipelineError(f"{tracker.name} does not register the model: {reason(error)}") from error
    print(f"champion: models:/{model}@{CHAMPION} is version {version}, val accuracy {val_accuracy:.2%}")
    return f"models:/{model}/{version}"


def offer_result(tracker: "Tracker", result: dict[str, Any]) -> str | None:
    """Offer the best job of a sweep or a search: its result, as pipeline/sweep/jobs.py leaves it."""
    val = result["val"]
    return offer(tracker, result["mlflow_run_id"], result["data"], list(val["emotions"]), val["accuracy"])


def _champion(tracker: "Tracker", model: str) -> dict[str, str]:
    """Return the tags of the champion's version; none where there is no champion."""
    import mlflow

    try:
        return tracker.client.get_model_version_by_alias(model, CHAMPION).tags
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return {}
        raise  # a store that fails has not said that there is no champion
