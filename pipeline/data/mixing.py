"""Mixup, cutmix and random erasing of training images, with their labels: drawn in NumPy, applied in TensorFlow."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.constants import IMAGE_SIZE

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.core.schema import Augment


def mixes(augment: "Augment") -> bool:
    """Tell whether any image is mixed or partly erased."""
    return augment.mixup > 0 or augment.cutmix > 0 or augment.erase > 0


def draw(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (5, n) float64 in [0, 1), the random draws of n mixtures: kind, amount, centre (2) and grey level."""
    return rng.random((5, n))


def mixtures(drawn: np.ndarray, augment: "Augment") -> np.ndarray:
    """Return (n, 7) float32 from (5, n) `drawn`: weight of another image, rows, columns, its label's weight, grey.

    Of the images, a share of `mixup` is blended with another (Zhang et al. 2018, arXiv:1710.09412), a share of
    `cutmix` has a rectangle of another (Yun et al. 2019, arXiv:1905.04899), and a share of `erase` a rectangle of
    one grey level (Zhong et al. 2020, arXiv:1708.04896, who use noise); the three add up to 1 at most. The amount
    is uniform between nothing and all, for `erase` up to a third of the area.
    """
    kind, much, *centre, grey = drawn
    mixup, cutmix = kind < augment.mixup, (kind >= augment.mixup) & (kind < augment.mixup + augment.cutmix)
    erase = ~mixup & ~cutmix & (kind < augment.mixup + augment.cutmix + augment.erase)
    much = much * np.where(erase, 1 / 3, 1.0)
    side = np.where(mixup, 1.0, np.sqrt(much)) * IMAGE_SIZE
    # The centre of a rectangle is drawn; what is outside the image is cut off, as in the source.
    centres = IMAGE_SIZE * np.array(centre)
    low, high = (np.clip(np.rint(centres + half * side), 0, IMAGE_SIZE) for half in (-0.5, 0.5))
    low[:, mixup], high[:, mixup] = 0, IMAGE_SIZE
    weight = np.where(mixup, much, np.where(cutmix | erase, 1.0, 0.0))
    share = np.where(erase, 0.0, weight * np.prod(high - low, axis=0) / IMAGE_SIZE**2)
    grey = np.where(erase, grey, -1.0)
    return np.stack([weight, low[0], high[0], low[1], high[1], share, grey], axis=1).astype(np.float32)


def mix(images: "tf.Tensor", labels: "tf.Tensor", mixtures: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Return (n, 48, 48, 1) images in [0, 1] and (n, k) labels, mixed with the preceding ones by (n, 7) `mixtures`."""
    import tensorflow as tf

    weight, top, bottom, left, right, share, grey = (mixtures[:, i, None, None] for i in range(7))
    place = tf.range(IMAGE_SIZE, dtype=tf.float32)
    rows, columns = place[None, :, None], place[None, None, :]
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    weight = (tf.cast(inside, tf.float32) * weight)[..., None]
    other = tf.where(grey[..., None] < 0, tf.roll(images, 1, axis=0), grey[..., None])
    share = share[:, 0]
    mixed = (1 - weight) * images + weight * other
    return mixed, (1 - share) * labels + share * tf.roll(labels, 1, axis=0)
