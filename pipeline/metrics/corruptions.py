"""Accuracy on corrupted images, in the manner of ImageNet-C (Hendrycks and Dietterich 2019, arXiv:1903.12261).

Twelve corruptions at three severities. All are seeded: the same images are corrupted in the same way for every model.
The strengths are chosen for 48x48 faces, and are in units of pixels, of grey levels or of shares.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.core.constants import IMAGE_SIZE

Corrupt = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _noise(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise with the standard deviation `sigma` in grey levels, as of a sensor."""
    return images + rng.normal(0, sigma, images.shape)


def _shot_noise(images: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Count photons, of which a white pixel has `photons` on average, as in little light."""
    return rng.poisson(images / 255 * photons) * 255 / photons


def _impulse_noise(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Make a `share` of the pixels black or white."""
    drawn = rng.random(images.shape)
    return np.where(drawn < share, np.where(drawn < share / 2, 0, 255), images)


def _blur(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian with the standard deviation `sigma` in pixels, as out of focus."""
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _motion_blur(images: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Blur along a line of `length` pixels, at an angle drawn for each image."""
    size = int(length) | 1
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1
    kernels = []
    for angle in rng.uniform(0, 180, len(images)):
        turn = cv2.getRotationMatrix2D((size // 2, size // 2), angle, 1)
        kernel = cv2.warpAffine(line, turn, (size, size))
        kernels.append(kernel / kernel.sum())
    found = [cv2.filter2D(i, -1, k, borderType=cv2.BORDER_REPLICATE) for i, k in zip(images, kernels, strict=True)]
    return np.stack(found)


def _low_resolution(images: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Reduce to `side` pixels and enlarge again, as of a small face."""

    def resized(image: np.ndarray) -> np.ndarray:
        small = cv2.resize(image, (int(side), int(side)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_LINEAR)

    return _each(images, resized)


def _jpeg(images: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Compress by JPEG of `quality` (1 to 100)."""

    def compressed(image: np.ndarray) -> np.ndarray:
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
        return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)

    return _each(images, compressed)


def _brightness(images: np.ndarray, levels: float, rng: np.random.Generator) -> np.ndarray:
    """Make half of the images brighter and half darker by `levels` grey levels."""
    return images + levels * rng.choice([-1, 1], (len(images), 1, 1))


def _contrast(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Keep a `share` of each pixel's distance from the image's mean."""
    mean = images.mean((1, 2), keepdims=True)
    return mean + share * (images - mean)


def _side_light(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Darken evenly towards the left or the right side, where a `share` of the light is left."""
    light = np.linspace(share, 1, IMAGE_SIZE)
    return images * np.where(rng.random((len(images), 1, 1)) < 0.5, light, light[::-1])


def _occlusion(images: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """Hide eyes or mouth under a grey band of `height` pixels across the face, as glasses, hands or masks do."""
    covered = images.copy()
    centres = np.where(rng.random(len(images)) < 0.5, 18, 38)  # FER-2013's rows of the eyes and of the mouth
    rows = np.arange(IMAGE_SIZE)[None, :, None]
    return np.where(abs(rows + 0.5 - centres[:, None, None]) < height / 2, 128, covered)


def _misplaced(images: np.ndarray, pixels: float, rng: np.random.Generator) -> np.ndarray:
    """Shift by `pixels` in a direction drawn for each image, as a face that is not found exactly; edges repeat."""
    angle = rng.uniform(0, 2 * np.pi, len(images))
    moves = zip(images, np.rint(pixels * np.cos(angle)), np.rint(pixels * np.sin(angle)), strict=True)
    size = (IMAGE_SIZE, IMAGE_SIZE)
    shifted = [
        cv2.warpAffine(image, np.array([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REPLICATE)
        for image, x, y in moves
    ]
    return np.stack(shifted)


def _each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([change(image) for image in images])


CORRUPTIONS: dict[str, tuple[Corrupt, tuple[float, float, float], str]] = {
    "noise": (_noise, (6, 12, 24), "standard deviation in grey levels"),
    "shot noise": (_shot_noise, (200, 60, 20), "photons of a white pixel"),
    "impulse noise": (_impulse_noise, (0.01, 0.03, 0.08), "share of the pixels"),
    "blur": (_blur, (0.6, 1, 1.6), "standard deviation in pixels"),
    "motion blur": (_motion_blur, (3, 5, 9), "length in pixels"),
    "low resolution": (_low_resolution, (32, 24, 16), "pixels a side"),
    "JPEG": (_jpeg, (50, 30, 10), "quality"),
    "brightness": (_brightness, (30, 60, 100), "grey levels"),
    "contrast": (_contrast, (0.6, 0.35, 0.15), "share of the contrast"),
    "side light": (_side_light, (0.6, 0.35, 0.1), "share of the light on one side"),
    "occlusion": (_occlusion, (6, 12, 18), "height of the band in pixels"),
    "misplaced": (_misplaced, (2, 4, 7), "shift in pixels"),
}
"""The corruptions by name: the function, its three severities, and their unit."""


def corrupt(images: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Return (n, 48, 48) uint8 `images` under the corruption `name` at `severity`, 0 to 2."""
    change, strengths, _ = CORRUPTIONS[name]
    rng = np.random.default_rng([list(CORRUPTIONS).index(name), severity])
    return np.clip(np.rint(change(images, strengths[severity], rng)), 0, 255).astype(np.uint8)


def accuracies(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    advance: Callable[[int], object],
) -> dict[str, list[float]]:
    """Return the accuracy of `predict` on (n, 48, 48) uint8 `images` under each corruption, at its three severities.

    `predict` returns the (n, k) probabilities of images, `labels` are (n,); `advance` is called with 1 after each of
    the 36 predictions.
    """
    found: dict[str, list[float]] = {}
    for name, (_, strengths, _) in CORRUPTIONS.items():
        found[name] = []
        for severity in range(len(strengths)):
            right = predict(corrupt(images, name, severity)).argmax(1) == labels
            found[name].append(float(right.mean()))
            advance(1)
    return found


def mean(found: dict[str, list[float]]) -> float:
    """Return the mean over all corruptions and severities: one number for the robustness of a model."""
    return float(np.mean(list(found.values())))
