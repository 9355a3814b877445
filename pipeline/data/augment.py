"""Random geometric transforms of training images: drawn in NumPy, applied as one resampling or as moves of pixels."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.core.schema import Augment


def resamples(augment: "Augment") -> bool:
    """Tell whether pixels are interpolated; otherwise they are only moved, which is fast."""
    return augment.rotation > 0 or augment.zoom > 0


def draw(rng: np.random.Generator, n: int, augment: "Augment") -> np.ndarray:
    """Return (6, n) float64, the random draws of n transforms: flip, angle, and zoom and shift for each axis.

    They are uniform in [0, 1), except for a shift by whole pixels if nothing is resampled.
    """
    drawn = np.empty((6, n))
    if resamples(augment):
        rng.random(out=drawn)
    else:
        rng.random(out=drawn[:4])
        most = int(augment.shift * IMAGE_SIZE)
        drawn[4:] = rng.integers(-most, most, (2, n), endpoint=True)
    return drawn


def transforms(drawn: np.ndarray, augment: "Augment") -> np.ndarray:
    """Return (n, 8) float32 projective transforms of (6, n) `drawn`, each from an output pixel to its source.

    The ranges are those of Keras' ImageDataGenerator: a horizontal flip of half of the images, an angle in +-rotation
    degrees, and for each axis a zoom of 1 +- zoom and a shift of +-shift times the size.
    """
    flip = np.where(drawn[0] < 0.5 * augment.flip, -1.0, 1.0)
    angle = np.deg2rad(_uniform(-augment.rotation, augment.rotation, drawn[1]))
    zoom_x, zoom_y = _uniform(1 - augment.zoom, 1 + augment.zoom, drawn[2:4])
    shift_x, shift_y = drawn[4:]
    if resamples(augment):
        shift_x, shift_y = _uniform(-augment.shift, augment.shift, drawn[4:]) * IMAGE_SIZE
    a, b = flip * zoom_x * np.cos(angle), -flip * zoom_x * np.sin(angle)
    c, d = zoom_y * np.sin(angle), zoom_y * np.cos(angle)
    # The image turns about its centre: x' - centre = matrix (x - centre) + shift.
    centre = (IMAGE_SIZE - 1) / 2
    at_x, at_y = centre - (a + b) * centre + shift_x, centre - (c + d) * centre + shift_y
    zero = np.zeros(len(flip))
    return np.stack([a, b, at_x, c, d, at_y, zero, zero], axis=1).astype(np.float32)


def resample_pixels(pixels: np.ndarray, transforms: np.ndarray, bicubic: bool) -> np.ndarray:
    """Return (n, 48, 48) uint8 pixels resampled by (n, 8) transforms; outside, the edge is repeated.

    Bilinear resampling blurs, so that the images of val are sharper than those the model was trained on.
    """
    resampled = np.empty_like(pixels)
    way = (cv2.INTER_CUBIC if bicubic else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    for image, transform, target in zip(pixels, transforms[:, :6].reshape(-1, 2, 3), resampled, strict=True):
        cv2.warpAffine(image, transform, target.shape[::-1], target, way, cv2.BORDER_REPLICATE)
    return resampled


def resample(images: "tf.Tensor", transforms: "tf.Tensor") -> "tf.Tensor":
    """Return (n, 48, 48, 1) images resampled bilinearly by (n, 8) transforms; outside, the edge is repeated."""
    from keras import ops

    return ops.image.affine_transform(images, transforms, interpolation="bilinear", fill_mode="nearest")


def move(pixels: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """Return (n, 48, 48) pixels moved by (n, 8) transforms without rotation or zoom; outside, the edge is repeated."""
    place = np.arange(IMAGE_SIZE)
    across, at_x, down, at_y = (transforms[:, i, None] for i in (0, 2, 4, 5))
    columns, rows = (
        np.clip(np.rint(scale * place + at), 0, IMAGE_SIZE - 1).astype(np.intp)
        for scale, at in ((across, at_x), (down, at_y))
    )
    return pixels[np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _uniform(low: float, high: float, unit: np.ndarray) -> np.ndarray:
    """Return numbers in [0, 1) as numbers in [low, high), computed as Generator.uniform does."""
    return low + (high - low) * unit
