"""The networks: one module each, with a function `build`; conf/model/ has one or more sizes of each."""

import json
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError
from pipeline.core.schema import Model
from pipeline.models import untrusted

if TYPE_CHECKING:
    import keras


def build(model: Model, classes: int) -> "keras.Model":
    """Return the untrained network: (n, 48, 48, 1) float32 in [0, 1] to (n, classes) probabilities.

    Only the chosen network's module is imported. Raises PipelineError where it has layers that are refused in a file.
    """
    settings = model.model_dump(exclude={"name"})
    network = import_module(f"pipeline.models.{model.name}").build(classes, **settings)
    try:
        untrusted.check_layers(json.loads(network.to_json()))
    except PipelineError as error:
        raise PipelineError(f"pipeline/models/{model.name}.py {error}") from error
    return network
