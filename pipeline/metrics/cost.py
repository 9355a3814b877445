"""The cost of a prediction."""

import math

import keras
from keras import layers


def macs(model: keras.Model) -> int:
    """Return the MACs (multiply-accumulate operations) of `model` for one image.

    Convolutions and dense layers count; normalization, pooling and activations do not, as is usual.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer: keras.Layer) -> int:
    if not isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        return 0
    # Each weight of a kernel is used once at every position of the output; the output of a dense layer has one.
    positions = math.prod(layer.output.shape[1:-1])
    kernels = [weight for weight in layer.trainable_weights if weight.name.endswith("kernel")]
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)
