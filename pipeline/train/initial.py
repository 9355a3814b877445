"""Starts a training from the weights of a trained model."""

from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import keras


def start_from(model: "keras.Model", trained: "keras.Model", same_classes: bool) -> None:
    """Set the weights of `model` to those of `trained`, except the output layer's if the classes are not the same.

    Raises PipelineError if the two have different architectures.
    """
    mine, given = ([layer for layer in each.layers if layer.weights] for each in (model, trained))
    kept = len(mine) if same_classes else len(mine) - 1
    shapes = [[tuple(weight.shape) for layer in layers[:kept] for weight in layer.weights] for layers in (mine, given)]
    if len(mine) != len(given) or shapes[0] != shapes[1]:
        raise PipelineError(
            f"has {_size(given)}, and the model in training {_size(mine)}; accepted: a model of the same "
            "architecture, whose output layer may have other classes"
        )
    for layer, source in zip(mine[:kept], given[:kept], strict=True):
        layer.set_weights(source.get_weights())


def _size(layers: "list[keras.Layer]") -> str:
    return f"{len(layers)} layers with {sum(layer.count_params() for layer in layers):,} weights"
