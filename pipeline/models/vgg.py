"""A small network in the manner of VGG."""

import keras
from keras import layers

from pipeline.core.schema import IMAGE_SIZE


def build(classes: int, widths: list[int], depth: int, dense: int, dropout: float) -> keras.Sequential:
    """Return for each width `depth` convolutions and a pooling, then two dense layers.

    Source: Simonyan and Zisserman 2015, arXiv:1409.1556, with batch normalization (Ioffe and Szegedy 2015). As
    conf/model/vgg.yaml has it, with 7 classes: 612,135 parameters, 83,092,352 multiply-adds.
    """
    net = keras.Sequential([keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))], name="vgg")
    for width in widths:
        for _ in range(depth):
            net.add(layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal"))
            net.add(layers.BatchNormalization(momentum=0.9))
            net.add(layers.ReLU())
        net.add(layers.MaxPool2D(2))
    net.add(layers.Flatten())
    net.add(layers.Dropout(dropout))
    net.add(layers.Dense(dense, activation="relu"))
    net.add(layers.Dropout(dropout))
    net.add(layers.Dense(classes, activation="softmax"))
    return net
