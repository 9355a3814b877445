"""Predictions of a split, and how long they take."""

import time

import keras
import numpy as np
import tensorflow as tf

from pipeline.data import batches
from pipeline.data.arrays import Split

BATCH = 256
"""Images scored together."""


_compiled: dict[str, keras.Model] = {}
"""The last architecture with its compiled prediction, which the jobs of a sweep use again."""


def predict(model: keras.Model, split: Split) -> np.ndarray:
    """Return (n, k) probabilities for all images of `split`, in order."""
    return _reused(model).predict(_images(model, split), verbose=0)


def _reused(model: keras.Model) -> keras.Model:
    """Return a copy of `model`: the last one, with the weights of `model`, if the architecture is the same."""
    key = model.to_json()
    if key not in _compiled:
        _compiled.clear()
        _compiled[key] = keras.models.clone_model(model)
    _compiled[key].set_weights(model.get_weights())
    return _compiled[key]


def predict_with_flip(model: keras.Model, split: Split) -> np.ndarray:
    """Return (n, k) probabilities, each the mean over an image and its horizontal flip: test-time augmentation."""
    flipped = _images(model, split).map(lambda x, y: (x[:, :, ::-1], y))
    return (predict(model, split) + _reused(model).predict(flipped, verbose=0)) / 2


def means(model: keras.Model, others: list[keras.Model], split: Split, flip: bool) -> dict[str, np.ndarray]:
    """Return (n, k) probabilities of means: over an image and its horizontal flip, over the models, over both."""
    found = {}
    if flip:
        found["flip_tta"] = predict_with_flip(model, split)
    if others:
        found["ensemble"] = np.mean([predict(each, split) for each in (model, *others)], axis=0)
    if flip and others:
        found["ensemble_flip_tta"] = np.mean([predict_with_flip(each, split) for each in (model, *others)], axis=0)
    return found


def _images(model: keras.Model, split: Split) -> tf.data.Dataset:
    return batches.scoring(split, model.output_shape[-1], BATCH)


def speed(model: keras.Model, split: Split, runs: int) -> dict[str, float]:
    """Return the latency of one image in milliseconds (median and 99th percentile of `runs`), and images/s in batches.

    Both are measured from uint8 pixels to probabilities, compiled, on images of `split`.
    """
    call = tf.function(lambda pixels: model(batches.to_unit(pixels), training=False))
    one, many = split.images(slice(0, 1)), split.images(slice(0, BATCH))
    single = [_seconds(call, one) for _ in range(runs + 10)][10:]  # the first ones compile and warm up
    batch = [_seconds(call, many) for _ in range(12)][2:]
    return {
        "latency_ms_median": 1000 * float(np.median(single)),
        "latency_ms_p99": 1000 * float(np.percentile(single, 99)),
        "scoring_images_per_second": len(many) / float(np.median(batch)),
    }


def _seconds(call: tf.types.experimental.GenericFunction, pixels: np.ndarray) -> float:
    started = time.perf_counter()
    call(tf.constant(pixels)).numpy()
    return time.perf_counter() - started
