"""A network that learns within seconds on a processor."""

import keras
from keras import layers

from pipeline.core.schema import IMAGE_SIZE


def build(
    classes: int, crop: int, patch: int, widths: list[int], depth: int, head: str, dropout: float
) -> keras.Sequential:
    """Return for each width `depth` convolutions with batch normalization, averages over 2x2 between the widths.

    Each image is brought to mean 0 and variance 1, loses `crop` pixels along each border, and then has patches of
    `patch` x `patch` pixels for channels: the first convolution sees every pixel on a small map. A dense layer takes
    the last map whole (`head` "flat") or its mean. The averages of an odd map leave out its last row and column.
    Source: ours; patches as in Dosovitskiy et al. 2021, arXiv:2010.11929. As conf/model/patch_cnn.yaml has it, with 7
    classes: 64,135 parameters, 1,826,016 multiply-adds.
    """
    size = (IMAGE_SIZE - 2 * crop) // patch
    net = keras.Sequential([keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))], name="patch_cnn")
    # One group is the whole image. Keras' .h5 files forget over which axes a LayerNormalization goes.
    net.add(layers.GroupNormalization(1, center=False, scale=False))
    net.add(layers.Cropping2D(crop))
    net.add(layers.Reshape((size, patch, size, patch)))
    net.add(layers.Permute((1, 3, 2, 4)))
    net.add(layers.Reshape((size, size, patch * patch)))
    for place, width in enumerate(widths):
        if place:
            net.add(layers.AveragePooling2D(2))
        for _ in range(depth):
            net.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
            net.add(layers.BatchNormalization(momentum=0.9))
            net.add(layers.ReLU())
    net.add(layers.Flatten() if head == "flat" else layers.GlobalAveragePooling2D())
    net.add(layers.Dropout(dropout))
    net.add(layers.Dense(classes, activation="softmax"))
    return net
