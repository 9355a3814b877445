"""mini-Xception, a widely used compact architecture for this dataset."""

from typing import TYPE_CHECKING

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture, PositiveInt, Widths

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""

    stem: PositiveInt
    widths: Widths


def build(classes: int, stem: int, widths: list[int]) -> "keras.Model":
    """Return two plain convolutions, then residual blocks of separable ones, each halving the image.

    Source: Arriaga, Valdenegro-Toro and Ploeger 2017, arXiv:1710.07557, and the code published with it
    (face_classification). With conf/model/mini_xception.yaml and 7 classes: 58,423 parameters,
    5,520,448 MACs.
    """
    import keras
    from keras import layers

    inputs = x = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))
    for _ in range(2):
        x = layers.Conv2D(stem, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    for width in widths:
        # Every second point, then the 1x1 convolution: the same as one with strides, whose gradient oneDNN writes past
        # its memory, or never ends, where the input has fewer channels than a vector register holds (its issue 6035).
        shortcut = layers.AveragePooling2D(1, strides=2, padding="same")(x)
        shortcut = layers.BatchNormalization()(layers.Conv2D(width, 1, use_bias=False)(shortcut))
        x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPool2D(3, strides=2, padding="same")(layers.BatchNormalization()(x))
        x = layers.Add()([x, shortcut])
    x = layers.Conv2D(classes, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Softmax()(x), name="mini_xception")
