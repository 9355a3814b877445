"""What a network costs to apply."""

import math

import keras
from keras import layers


def macs(model: keras.Model) -> int:
    """Return the multiplications, each with its addition, by which `model` scores one image.

    Counted are convolutions and dense layers; normalization, pooling and activations are not, as is usual.
    """
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: keras.Layer) -> int:
    if not isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        return 0
    # Each weight of a kernel is used once at every place of the output, of which a vector has one.
    places = math.prod(layer.output.shape[1:-1])
    kernels = [weight for weight in layer.trainable_weights if weight.name.endswith("kernel")]
    return places * sum(math.prod(kernel.shape) for kernel in kernels)
