"""Softmax regression on the raw pixels."""

import keras
from keras import layers

from pipeline.core.schema import IMAGE_SIZE


def build(classes: int) -> keras.Sequential:
    """Return one dense layer over all 2,304 pixels: what can be told without any feature.

    With 7 classes: 16,135 parameters, 16,128 multiply-adds.
    """
    return keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1)),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="linear",
    )
