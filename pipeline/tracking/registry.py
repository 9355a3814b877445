"""MLflow's model registry: the best model of each dataset has the alias `champion`.

A model becomes the champion if its accuracy on val is higher than the champion's on the same images. Test is not used.
If the champion was trained on other images (another digest), the accuracies are not comparable, and the new model
replaces it. Earlier champions remain as earlier versions.
"""

from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.metrics.constant import constant_class
from pipeline.tracking import models
from pipeline.tracking.datasets import dataset_name
from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

CHAMPION = "champion"
DESCRIPTION = (
    "val accuracy {accuracy:.2%} (95% interval {accuracy_low:.1%} to {accuracy_high:.1%}, {images} images) "
    "on {name} ({digest:.12}); run: {run} ({id})"
)


def offer(tracker: "Tracker", run_id: str, data: dict[str, str], classes: list[str], val: dict[str, Any]) -> str | None:
    """Register the model of a training run if it is the new champion; return the version's address, or None.

    `data` has the dataset's name and digest; `val` has the metrics of the saved weights. Raises PipelineError if the
    store fails.
    """
    import mlflow

    accuracy, model = val["accuracy"], dataset_name(data["name"], classes)
    if only := constant_class(val):
        print(f"not registered: the model predicts {only} for every image of val")
        return None
    tags = {"val_accuracy": repr(accuracy), "data_digest": data["digest"], "training": run_id}
    try:
        with file_lock(paths.MLRUNS / "registry.lock"):
            best = _champion(tracker, model)
            if best.get("data_digest") == data["digest"] and accuracy <= float(best["val_accuracy"]):
                return None
            if not (logged := models.of_run(tracker, run_id)):
                raise PipelineError(f"run {run_id} of {tracker.name} has no model")
            version = mlflow.register_model(f"models:/{logged.model_id}", model, tags=tags).version
            described = DESCRIPTION.format(**val, **data, run=tracker.client.get_run(run_id).info.run_name, id=run_id)
            tracker.client.update_model_version(model, version, described)
            tracker.client.update_registered_model(model, __doc__)
            tracker.client.set_registered_model_alias(model, CHAMPION, version)
    except failures() as error:
        raise PipelineError(f"{tracker.name} cannot register the model: {reason(error)}") from error
    print(f"champion: models:/{model}@{CHAMPION} is version {version}, val accuracy {accuracy:.2%}")
    return f"models:/{model}/{version}"


def offer_result(tracker: "Tracker", result: dict[str, Any]) -> str | None:
    """Offer the model of a job, from its result: see pipeline/sweep/jobs.py."""
    val = result["val"]
    return offer(tracker, result["mlflow_run_id"], result["data"], list(val["emotions"]), val)


def _champion(tracker: "Tracker", model: str) -> dict[str, str]:
    """Return the tags of the champion's version; an empty dictionary if there is no champion."""
    import mlflow

    try:
        return tracker.client.get_model_version_by_alias(model, CHAMPION).tags
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return {}
        raise  # the store failed: there may be a champion
