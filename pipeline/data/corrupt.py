"""Corruptions of training images, which make a model robust to poor pictures: drawn and applied in NumPy and OpenCV.

The strengths are uniform between nothing and the most that is stated, as 48x48 faces stand them.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE

if TYPE_CHECKING:
    from pipeline.core.schema import Augment


def _light(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make the whole brighter or darker by up to 80 grey levels, and darken one side by up to 80%."""
    lost, levels = (rng.uniform(low, high, (len(images), 1, 1)) for low, high in ((0, 0.8), (-80, 80)))
    slope = np.linspace(0, 1, IMAGE_SIZE)
    return images * (1 - lost * np.where(rng.random(lost.shape) < 0.5, slope, slope[::-1])) + levels


def _erase(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide a rectangle of up to a third of the image under one grey level (Zhong et al. 2020, arXiv:1708.04896)."""
    area, along, *centre, grey = rng.random((5, len(images)))
    longer = IMAGE_SIZE * np.sqrt(area / 3) * 2 ** (2 * along - 1)
    erased = images.copy()
    sides = np.stack([longer, IMAGE_SIZE**2 * area / 3 / longer])
    low, high = (np.rint(IMAGE_SIZE * np.array(centre) + half * sides).astype(int) for half in (-0.5, 0.5))
    for image, top, left, bottom, right, level in zip(erased, *low.clip(0), *high.clip(0), grey, strict=True):
        image[top:bottom, left:right] = 255 * level
    return erased


def _blur(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur half by a Gaussian of up to 1.8 pixels standard deviation; reduce half to 14 pixels or more, and back."""
    blurred = np.empty_like(images)
    chosen = rng.random(len(images)) < 0.5
    for image, target, gaussian, much in zip(images, blurred, chosen, rng.random(len(images)), strict=True):
        if gaussian:
            cv2.GaussianBlur(image, (0, 0), 0.2 + 1.6 * much, target, borderType=cv2.BORDER_REPLICATE)
        else:
            side = IMAGE_SIZE - 1 - round(much * (IMAGE_SIZE - 15))
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            cv2.resize(small, image.shape, target, interpolation=cv2.INTER_LINEAR)
    return blurred


def _noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise with a standard deviation of up to 30 grey levels."""
    return images + 30 * rng.random((len(images), 1, 1), np.float32) * rng.standard_normal(images.shape, np.float32)


def _jpeg(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Compress by JPEG of a quality from 8 to 90."""
    qualities = rng.integers(8, 90, len(images), endpoint=True).tolist()
    coded = (cv2.imencode(".jpg", i, [cv2.IMWRITE_JPEG_QUALITY, q])[1] for i, q in zip(images, qualities, strict=True))
    return np.stack([cv2.imdecode(each, cv2.IMREAD_GRAYSCALE) for each in coded])


# In the order in which they happen to a picture.
_CORRUPTIONS = {"light": _light, "erase": _erase, "blur": _blur, "noise": _noise, "jpeg": _jpeg}


def corrupts(augment: "Augment") -> bool:
    """Tell whether any image is corrupted."""
    return any(getattr(augment, name) > 0 for name in _CORRUPTIONS)


def corrupt(images: np.ndarray, augment: "Augment", rng: np.random.Generator) -> np.ndarray:
    """Return (n, 48, 48) uint8 `images`, of which a share is changed by each corruption: 0 to 5 of them an image."""
    corrupted = images.copy()
    for name, change in _CORRUPTIONS.items():
        chosen = np.flatnonzero(rng.random(len(images)) < getattr(augment, name))
        if len(chosen):
            changed = change(corrupted[chosen], rng)
            corrupted[chosen] = changed if changed.dtype == np.uint8 else np.clip(np.rint(changed), 0, 255)
    return corrupted
