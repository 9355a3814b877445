"""The architecture of the notebook project."""

from typing import TYPE_CHECKING

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture, PositiveInt, Share, Widths

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""

    filters: PositiveInt
    dense: Widths
    dropout: Share


def build(classes: int, filters: int, dense: list[int], dropout: float) -> "keras.Sequential":
    """Return five blocks of convolution and pooling, then a dense head: 17 layers with three widths in `dense`.

    Source: the notebook states 17 layers of Conv2D, MaxPool2D, Dense, Dropout and Flatten and 167,239
    trainable parameters, and no more; conf/model/seed_cnn.yaml with 7 classes fits both. A dropout follows every
    dense layer but the last of them. So it has 167,239 parameters, 29,546,720 MACs.
    """
    import keras
    from keras import layers

    found = [keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1))]
    for _ in range(5):
        found += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPool2D(2)]
    found.append(layers.Flatten())
    for width in dense[:-1]:
        found += [layers.Dense(width, activation="relu"), layers.Dropout(dropout)]
    found += [layers.Dense(dense[-1], activation="relu"), layers.Dense(classes, activation="softmax")]
    return keras.Sequential(found, name="seed_cnn")
