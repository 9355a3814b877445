"""A small convolutional network, the fastest to train on a CPU, and larger ones of the same family."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture, PositiveInt, Share, Widths

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""

    crop: Annotated[int, Field(ge=0, lt=IMAGE_SIZE // 2)]
    patch: PositiveInt
    widths: Widths
    depth: PositiveInt
    head: Literal["flat", "mean"]
    dropout: Share

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        if (rest := IMAGE_SIZE - 2 * self.crop) % self.patch:
            raise ValueError(f"patch is {self.patch}; accepted: a divisor of {rest}, the pixels that crop leaves of 48")
        if rest // self.patch < 2 ** (len(self.widths) - 1):
            raise ValueError(
                f"widths has {len(self.widths)} numbers; accepted: at most {(rest // self.patch).bit_length()} "
                f"on {rest // self.patch} patches, which are halved between them"
            )
        return self


def build(
    classes: int, crop: int, patch: int, widths: list[int], depth: int, head: str, dropout: float
) -> "keras.Sequential":
    """Return for each width `depth` convolutions with batch normalization, average pooling over 2x2 between the widths.

    Each image is normalized to mean 0 and variance 1 and cropped by `crop` pixels along each border; patches of
    `patch` x `patch` pixels become channels. A dense layer takes the flattened last map (`head` "flat") or its mean.
    Pooling an odd map drops its last row and column.
    Source: ours; patches as in Dosovitskiy et al. 2021, arXiv:2010.11929. As conf/model/patch_cnn.yaml has it, with 7
    classes: 64,135 parameters, 1,826,016 MACs.
    """
    import keras
    from keras import layers

    size = (IMAGE_SIZE - 2 * crop) // patch
    net = keras.Sequential([keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))], name="patch_cnn")
    # One group is the whole image. Keras' .h5 files do not store the axes of a LayerNormalization.
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
