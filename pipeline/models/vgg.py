"""A small VGG."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture, PositiveInt, Share, Widths

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""

    widths: Annotated[Widths, Field(max_length=5)]  # each is followed by a pooling, and 48 pixels allow five
    depth: PositiveInt
    dense: PositiveInt
    dropout: Share


def build(classes: int, widths: list[int], depth: int, dense: int, dropout: float) -> "keras.Sequential":
    """Return for each width `depth` convolutions and a pooling, then two dense layers.

    Source: Simonyan and Zisserman 2015, arXiv:1409.1556, with batch normalization (Ioffe and Szegedy 2015). As
    conf/model/vgg.yaml has it, with 7 classes: 612,135 parameters, 83,092,352 MACs.
    """
    import keras
    from keras import layers

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
