"""The architectures, one module each, and saving and loading trained models.

An architecture is a module with a class `Options` and a function `build`, named like its option in conf/model/.
"""

import json
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError
from pipeline.core.section import Architecture
from pipeline.models import untrusted

if TYPE_CHECKING:
    import keras


def build(options: Architecture, classes: int) -> "keras.Model":
    """Return the untrained model: (n, 48, 48, 1) float32 in [0, 1] to (n, classes) probabilities.

    Only the module of the chosen architecture is imported. Raises PipelineError if it has layers that loading a file
    would refuse.
    """
    module = import_module(f"pipeline.models.{options.name}")
    model = module.build(classes, **options.model_dump(exclude={"name"}))
    try:
        untrusted.check_layers(json.loads(model.to_json()))
    except PipelineError as error:
        raise PipelineError(f"pipeline/models/{options.name}.py {error}") from error
    return model
