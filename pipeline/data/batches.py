"""Batches of images for training and for scoring."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from pipeline.core.constants import IMAGE_SIZE
from pipeline.data import augment, corrupt, mixing
from pipeline.data.arrays import Split

if TYPE_CHECKING:
    from pipeline.core.schema import Augment

CHUNK = 8
"""Batches that are resampled together: fewer calls from TensorFlow into Python, the same images."""

_PIXELS = tf.TensorSpec((None, IMAGE_SIZE, IMAGE_SIZE), tf.uint8)
_LABELS = tf.TensorSpec((None,), tf.int32)
_TRANSFORMS = tf.TensorSpec((None, 8), tf.float32)
_MIXING = tf.TensorSpec((None, 6), tf.float32)


def to_unit(pixels: tf.Tensor) -> tf.Tensor:
    """Return (n, 48, 48) uint8 pixels as (n, 48, 48, 1) float32 in [0, 1], the input of every model."""
    return tf.cast(pixels, tf.float32)[..., None] / 255.0


def training(
    split: Split,
    targets: np.ndarray,
    changes: "Augment",
    batch_size: int,
    seed: int,
    epochs: range,
    uncorrupted: bool = False,
) -> tf.data.Dataset:
    """Return the batches of `epochs`, one epoch after the other: augmented images and the rows of `targets` for them.

    `targets` is (k, k), a row for each label. With `uncorrupted`, instead of images come pairs of them: as they are,
    and without corruptions. The order and the augmentation of an epoch depend only on `seed` and its number, so that a
    resumed training sees the same batches. Only the epoch's random draws are kept in memory, some 60 bytes per image.
    """
    chunk = CHUNK * batch_size
    resampled, mixed, corrupted = augment.resamples(changes), mixing.mixes(changes), corrupt.corrupts(changes)
    # Bilinear resampling is faster in TensorFlow, but corruptions come after it.
    in_tensorflow = resampled and changes.interpolation == "bilinear" and not corrupted
    moved = changes.flip or changes.shift > 0
    unmixed = np.zeros((chunk, 6), np.float32)

    def chunks(epoch: int) -> Iterator[tuple[np.ndarray, ...]]:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(split))
        moves = augment.draw(rng, len(split), changes)
        mixes = mixing.draw(rng, len(split)) if mixed else np.empty((4, 0))
        for start in range(0, len(split), chunk):
            chosen = order[start : start + chunk]
            transforms = augment.transforms(moves.take(chosen, axis=1), changes)
            mixtures = mixing.mixtures(mixes.take(chosen, axis=1), changes) if mixed else unmixed[: len(chosen)]
            pixels = split.images(chosen)
            if resampled and not in_tensorflow:
                pixels = augment.resample_pixels(pixels, transforms, changes.interpolation == "bicubic")
            elif moved and not in_tensorflow:
                pixels = augment.move(pixels, transforms)
            views = [corrupt.corrupt(pixels, changes, rng) if corrupted else pixels, *[pixels] * uncorrupted]
            yield np.stack(views, axis=-1), targets[split.labels[chosen]], transforms, mixtures

    def prepare(
        views: tf.Tensor, labels: tf.Tensor, transforms: tf.Tensor, mixtures: tf.Tensor
    ) -> tuple[tf.Tensor | tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        images = tf.cast(views, tf.float32) / 255.0
        if in_tensorflow:
            images = augment.resample(images, transforms)
        if mixed:
            images, labels = mixing.mix(images, labels, mixtures)
        return (images[..., :1], images[..., 1:]) if uncorrupted else images, labels

    def one(epoch: tf.Tensor) -> tf.data.Dataset:
        views = tf.TensorSpec((*_PIXELS.shape, 1 + uncorrupted), tf.uint8)
        signature = (views, tf.TensorSpec((None, targets.shape[1]), tf.float32), _TRANSFORMS, _MIXING)
        source = tf.data.Dataset.from_generator(chunks, args=(epoch,), output_signature=signature)
        return source.map(prepare).rebatch(batch_size)

    whole = tf.data.Dataset.from_tensor_slices(list(epochs)).flat_map(one)
    return _finished(whole, len(epochs) * math.ceil(len(split) / batch_size))


def scoring(split: Split, classes: int, batch_size: int) -> tf.data.Dataset:
    """Return all images of `split`, in order and unchanged, with one-hot labels."""

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(split), batch_size):
            chosen = slice(start, start + batch_size)
            yield split.images(chosen), split.labels[chosen]

    def prepare(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return to_unit(pixels), tf.one_hot(labels, classes)

    source = tf.data.Dataset.from_generator(batches, output_signature=(_PIXELS, _LABELS))
    return _finished(source.map(prepare), math.ceil(len(split) / batch_size))


def _finished(dataset: tf.data.Dataset, batches: int) -> tf.data.Dataset:
    """Return `dataset` with its length known, some batches prefetched, and tf.data's autotuning off.

    Autotuning makes the same steps slower: see benchmarks/settings.py.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(batches)).prefetch(4).with_options(options)
