"""ResNet-20."""

from typing import TYPE_CHECKING

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture, PositiveInt, Widths

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""

    widths: Widths
    blocks: PositiveInt


def build(classes: int, widths: list[int], blocks: int) -> "keras.Model":
    """Return one convolution, then for each width so many residual blocks, all widths but the first halving the image.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2, with projections as shortcuts where the shape changes.
    As conf/model/resnet.yaml has it, its ResNet-20, with 7 classes: 273,559 parameters, 91,165,120 MACs.
    """
    import keras
    from keras import layers

    def convolution(x: "keras.KerasTensor", width: int, kernel: int, stride: int = 1) -> "keras.KerasTensor":
        x = layers.Conv2D(
            width, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))
    x = layers.ReLU()(convolution(inputs, widths[0], 3))
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = x
            if stride > 1:  # not by the strides of the 1x1 convolution: see mini_xception
                shortcut = layers.AveragePooling2D(1, strides=stride, padding="same")(shortcut)
            if x.shape[-1] != width or stride > 1:
                shortcut = convolution(shortcut, width, 1)
            x = layers.ReLU()(convolution(x, width, 3, stride))
            x = layers.ReLU()(layers.Add()([convolution(x, width, 3), shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x), name="resnet")
