"""Softmax regression on the raw pixels."""

from typing import TYPE_CHECKING

from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.section import Architecture

if TYPE_CHECKING:
    import keras


class Options(Architecture):
    """The options of `build`, in conf/model/."""


def build(classes: int) -> "keras.Sequential":
    """Return one dense layer over all 2,304 pixels: a baseline without features.

    With 7 classes: 16,135 parameters, 16,128 MACs.
    """
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1)),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="linear",
    )
