"""The networks: one module each, with a function `build`; conf/model/ has one or more sizes of each."""

from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.core.schema import Model

if TYPE_CHECKING:
    import keras


def build(model: Model, classes: int) -> "keras.Model":
    """Return the untrained network: (n, 48, 48, 1) float32 in [0, 1] to (n, classes) probabilities.

    Only the chosen network's module is imported.
    """
    settings = model.model_dump(exclude={"name"})
    return import_module(f"pipeline.models.{model.name}").build(classes, **settings)
