"""Random geometric changes of training images: drawn in NumPy, applied as one resampling."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.schema import IMAGE_SIZE, Augment

if TYPE_CHECKING:
    import tensorflow as tf


def draw(rng: np.random.Generator, n: int, augment: Augment) -> np.ndarray:
    """Return (n, 8) float32 projective transforms, each from an output pixel to where it is read in the input.

    The ranges are those of Keras' ImageDataGenerator: mirror in half of the images, an angle in +-rotation
    degrees, a zoom of 1 +- zoom and a shift of +-shift times the size, the last two for each axis by itself.
    """
    flip = np.where(rng.random(n) < 0.5 * augment.mirror, -1.0, 1.0)
    angle = np.deg2rad(rng.uniform(-augment.rotation, augment.rotation, n))
    zoom_x, zoom_y = rng.uniform(1 - augment.zoom, 1 + augment.zoom, (2, n))
    shift_x, shift_y = rng.uniform(-augment.shift, augment.shift, (2, n)) * IMAGE_SIZE
    a, b = flip * zoom_x * np.cos(angle), -flip * zoom_x * np.sin(angle)
    c, d = zoom_y * np.sin(angle), zoom_y * np.cos(angle)
    # The image turns about its centre: x' - centre = matrix (x - centre) + shift.
    centre = (IMAGE_SIZE - 1) / 2
    at_x, at_y = centre - (a + b) * centre + shift_x, centre - (c + d) * centre + shift_y
    zero = np.zeros(n)
    return np.stack([a, b, at_x, c, d, at_y, zero, zero], axis=1).astype(np.float32)


def apply(images: "tf.Tensor", transforms: "tf.Tensor") -> "tf.Tensor":
    """Return (n, 48, 48, 1) images resampled bilinearly by (n, 8) transforms; outside, the edge goes on."""
    from keras import ops

    return ops.image.affine_transform(images, transforms, interpolation="bilinear", fill_mode="nearest")
