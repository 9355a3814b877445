"""Mixup and cutmix of training images, with their labels: drawn in NumPy, applied in TensorFlow."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.constants import IMAGE_SIZE

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.core.schema import Augment


def mixes(augment: "Augment") -> bool:
    """Tell whether any image is mixed."""
    return augment.mixup > 0 or augment.cutmix > 0


def draw(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (4, n) float64 in [0, 1), the random draws of n mixtures: kind, amount and centre (2)."""
    return rng.random((4, n))


def mixtures(drawn: np.ndarray, augment: "Augment") -> np.ndarray:
    """Return (n, 6) float32 from (4, n) `drawn`: weight of another image, rows, columns, its label's weight.

    Of the images, a share of `mixup` is blended with another (Zhang et al. 2018, arXiv:1710.09412), and a share of
    `cutmix` has a rectangle of another (Yun et al. 2019, arXiv:1905.04899); the two add up to 1 at most. The amount
    is uniform between nothing and all.
    """
    kind, much, *centre = drawn
    mixup, cutmix = kind < augment.mixup, (kind >= augment.mixup) & (kind < augment.mixup + augment.cutmix)
    side = np.where(mixup, 1.0, np.sqrt(much)) * IMAGE_SIZE
    # The centre of a rectangle is drawn; what is outside the image is cut off, as in the source.
    centres = IMAGE_SIZE * np.array(centre)
    low, high = (np.clip(np.rint(centres + half * side), 0, IMAGE_SIZE) for half in (-0.5, 0.5))
    low[:, mixup], high[:, mixup] = 0, IMAGE_SIZE
    weight = np.where(mixup, much, np.where(cutmix, 1.0, 0.0))
    share = weight * np.prod(high - low, axis=0) / IMAGE_SIZE**2
    return np.stack([weight, low[0], high[0], low[1], high[1], share], axis=1).astype(np.float32)


def mix(images: "tf.Tensor", labels: "tf.Tensor", mixtures: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Return (n, 48, 48, 1) images in [0, 1] and (n, k) labels, mixed with the preceding ones by (n, 6) `mixtures`."""
    import tensorflow as tf

    weight, top, bottom, left, right, share = (mixtures[:, i, None, None] for i in range(6))
    place = tf.range(IMAGE_SIZE, dtype=tf.float32)
    rows, columns = place[None, :, None], place[None, None, :]
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    weight = (tf.cast(inside, tf.float32) * weight)[..., None]
    share = share[:, 0]
    mixed = (1 - weight) * images + weight * tf.roll(images, 1, axis=0)
    return mixed, (1 - share) * labels + share * tf.roll(labels, 1, axis=0)
