"""Where in an image a network sees an emotion."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.core.constants import IMAGE_SIZE
from pipeline.data import batches

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D)
FINEST = 6
"""Cells along a side of the map that is looked at, at least: coarser ones say nothing of a face's parts."""


def explained(model: keras.Model, faces: list[dict[str, Any]], classes: list[str]) -> list[dict[str, Any]]:
    """Return `faces` with the maps of what the network says and of the truth, where it is known and another.

    Each has pixels (48, 48) of grey bytes, truth (or None) and prediction, and gets maps, by emotion. None of them is
    returned where the network has no convolutions, and so no maps.
    """
    if not (faces and _convolves(model)):
        return []
    images = batches.to_unit(np.stack([face["pixels"] for face in faces])).numpy()
    found: list[dict[str, np.ndarray]] = [{} for _ in faces]
    for key in ("truth", "prediction"):
        named = [face[key] or face["prediction"] for face in faces]
        drawn = maps(model, images, np.array([classes.index(name) for name in named]))
        for each, name, one in zip(found, named, drawn, strict=True):
            each[name] = one
    return [{**face, "maps": each} for face, each in zip(faces, found, strict=True)]


def maps(model: keras.Model, images: np.ndarray, emotions: np.ndarray) -> np.ndarray:
    """Return (n, 48, 48) float32 in [0, 1]: how much each place of (n, 48, 48, 1) images speaks for its emotion.

    `emotions` (n,) are outputs of the network. Where nothing speaks for one, its map is 0. Source: Grad-CAM, Selvaraju
    et al. 2017, arXiv:1610.02391, on the last layer with a map of 6x6 cells or more, or else the finest map there is;
    of the logarithm of the probability, so that what speaks for all emotions alike does not count.
    """
    with tf.GradientTape() as tape:
        features, probabilities = _run(model, _looked_at(model), tf.constant(images, tf.float32))
        of_emotion = tf.gather(probabilities, emotions, axis=1, batch_dims=1)
        score = tf.reduce_sum(tf.math.log(tf.maximum(of_emotion, 1e-12)))
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2), keepdims=True)
    speaking = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))
    large = tf.image.resize(speaking, (IMAGE_SIZE, IMAGE_SIZE))[..., 0].numpy()
    highest = large.max(axis=(1, 2), keepdims=True)
    return np.divide(large, highest, out=np.zeros_like(large), where=highest > 0)


def _convolves(model: keras.Model) -> bool:
    return any(isinstance(layer, CONVOLUTIONS) for layer in model.layers)


def _looked_at(model: keras.Model) -> keras.Layer:
    """Return the layer whose map is looked at, one from the first convolution on."""
    first = next(i for i, layer in enumerate(model.layers) if isinstance(layer, CONVOLUTIONS))
    sizes = {layer: layer.output.shape[1] for layer in model.layers[first:] if len(layer.output.shape) == 4}
    enough = min(FINEST, max(sizes.values()))
    return [layer for layer, size in sizes.items() if size >= enough][-1]


def _run(model: keras.Model, layer: keras.Layer, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `layer` gives for `images`, and the probabilities that follow from it."""
    if not isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, [layer.output, model.outputs[0]])(images, training=False)
    # A Sequential builds itself anew with each layer: its layers' symbolic outputs are of different graphs.
    given = images
    for each in model.layers:
        given = each(given)
        if each is layer:
            features = given
    return features, given
