"""Finds a trained model by the name that a user gives."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError
from pipeline.faces import options
from pipeline.faces.classifier import Classifier, Range

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


def load_classifier(
    name: str,
    tracking: "str | Tracker | None" = None,
    classes: list[str] | None = None,
    inputs: Range | None = None,
) -> Classifier:
    """Return the model of an .h5 file, an MLflow run (its id), `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    `classes` and `inputs` are of an .h5 file of another program, as Classifier takes them. `tracking` is the store of
    runs and models: an open tracker, or an option of conf/tracking/ (by default that of params.yaml). Raises
    PipelineError if there is no such model.
    """
    path = Path(name)
    if path.suffix == ".h5":
        if not path.is_file():
            raise PipelineError(f"{path} is missing; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS")
        return Classifier(path, classes=classes, inputs=inputs)
    from pipeline.tracking import finding

    tracker = options.open_tracker(tracking) if tracking is None or isinstance(tracking, str) else tracking
    with tempfile.TemporaryDirectory() as folder:
        return Classifier(finding.fetch(tracker, name, "model.h5", Path(folder)), name)
