"""The cost of a prediction, and the speed of a machine."""

import functools
import math
import time

import keras
import tensorflow as tf
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


@functools.cache
def matmul_gflops() -> float:
    """Return the GFLOP/s (10^9 operations per second) of float32 matrix products on the device that trains.

    The best of ten products of 2048x2048 matrices. Machines with the same name of a processor differ in it.
    """
    size = 2048
    matrix = tf.random.stateless_uniform((size, size), [0, 0])
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        tf.matmul(matrix, matrix)[0, 0].numpy()  # waits for the product
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e9
