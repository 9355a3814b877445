"""Grad-CAM: which regions of an image support an emotion."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.core.constants import IMAGE_SIZE
from pipeline.data import batches

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D)
MIN_CELLS = 6
"""The least number of cells along a side of a feature map: a coarser one cannot separate the parts of a face."""


def explain(model: keras.Model, faces: list[dict[str, Any]], classes: list[str]) -> list[dict[str, Any]]:
    """Return `faces` with Grad-CAM maps of the prediction, and of the true emotion if it is known and differs.

    Each face has pixels (48, 48) uint8, truth (or None) and prediction; `maps` by emotion is added. Returns an empty
    list if the model has no convolutions, and so no maps.
    """
    if not (faces and _has_convolutions(model)):
        return []
    images = batches.to_unit(np.stack([face["pixels"] for face in faces])).numpy()
    by_face: list[dict[str, np.ndarray]] = [{} for _ in faces]
    for key in ("truth", "prediction"):
        emotions = [face[key] or face["prediction"] for face in faces]
        of_faces = maps(model, images, np.array([classes.index(emotion) for emotion in emotions]))
        for each, emotion, one in zip(by_face, emotions, of_faces, strict=True):
            each[emotion] = one
    return [{**face, "maps": each} for face, each in zip(faces, by_face, strict=True)]


def maps(model: keras.Model, images: np.ndarray, emotions: np.ndarray) -> np.ndarray:
    """Return (n, 48, 48) float32 in [0, 1]: how much each pixel of (n, 48, 48, 1) images supports its emotion.

    `emotions` (n,) are indices of the model's outputs. A map is 0 if nothing supports the emotion. Source: Grad-CAM,
    Selvaraju et al. 2017, arXiv:1610.02391, on the last layer with a map of 6x6 cells or more, or else the finest map.
    The gradient is that of the log probability, so that evidence shared by all emotions does not count.
    """
    with tf.GradientTape() as tape:
        features, probabilities = _run(model, _target_layer(model), tf.constant(images, tf.float32))
        of_emotion = tf.gather(probabilities, emotions, axis=1, batch_dims=1)
        score = tf.reduce_sum(tf.math.log(tf.maximum(of_emotion, 1e-12)))
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2), keepdims=True)
    support = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))
    resized = tf.image.resize(support, (IMAGE_SIZE, IMAGE_SIZE))[..., 0].numpy()
    highest = resized.max(axis=(1, 2), keepdims=True)
    return np.divide(resized, highest, out=np.zeros_like(resized), where=highest > 0)


def _has_convolutions(model: keras.Model) -> bool:
    return any(isinstance(layer, CONVOLUTIONS) for layer in model.layers)


def _target_layer(model: keras.Model) -> keras.Layer:
    """Return the layer whose feature map is used, the first convolution or a later layer."""
    first = next(i for i, layer in enumerate(model.layers) if isinstance(layer, CONVOLUTIONS))
    sizes = {layer: layer.output.shape[1] for layer in model.layers[first:] if len(layer.output.shape) == 4}
    least = min(MIN_CELLS, max(sizes.values()))
    return [layer for layer, size in sizes.items() if size >= least][-1]


def _run(model: keras.Model, layer: keras.Layer, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the output of `layer` for `images`, and the probabilities computed from it."""
    if not isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, [layer.output, model.outputs[0]])(images, training=False)
    # A Sequential is rebuilt with each added layer: its layers' symbolic outputs belong to different graphs.
    output = images
    for each in model.layers:
        output = each(output)
        if each is layer:
            features = output
    return features, output
