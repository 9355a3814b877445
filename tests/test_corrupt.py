"""Corrupted training images: what each corruption does, how strongly, and to how many images."""

import cv2
import numpy as np
import pytest

from pipeline.data import corrupt
from tests.settings import AS_THEY_ARE, changed_by

N = 400
NAMES = ("erase", "blur", "noise", "jpeg", "light")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Return images that are smooth, and neither black nor white anywhere, so that nothing is cut off by noise."""
    rough = np.random.default_rng(6).integers(120, 136, (N, 6, 6)).astype(np.uint8)
    return np.stack([cv2.resize(image, (48, 48), interpolation=cv2.INTER_CUBIC) for image in rough])


def corrupted(images: np.ndarray, seed: int = 0, **shares: float) -> np.ndarray:
    return corrupt.corrupt(images, changed_by(**shares), np.random.default_rng(seed))


def changed(found: np.ndarray, images: np.ndarray) -> np.ndarray:
    return (found != images).any(axis=(1, 2))


@pytest.mark.parametrize("name", NAMES)
def test_a_share_of_the_images_is_corrupted_and_the_others_stay(images, name):
    before = images.copy()
    found = corrupted(images, **{name: 0.25})
    np.testing.assert_array_equal(images, before)
    assert found.dtype == np.uint8
    assert found.shape == images.shape
    assert 0.15 < changed(found, images).mean() < 0.35


@pytest.mark.parametrize("name", NAMES)
def test_the_same_random_numbers_give_the_same_images(images, name):
    np.testing.assert_array_equal(corrupted(images, **{name: 0.5}), corrupted(images, **{name: 0.5}))
    assert not np.array_equal(corrupted(images, **{name: 0.5}), corrupted(images, seed=1, **{name: 0.5}))


def test_without_a_share_nothing_is_corrupted(images):
    assert not corrupt.corrupts(AS_THEY_ARE)
    assert corrupt.corrupts(changed_by(light=0.1))
    np.testing.assert_array_equal(corrupted(images), images)


def test_an_image_can_have_several_corruptions(images):
    found = corrupted(images, erase=0.5, noise=0.5)
    assert 0.65 < changed(found, images).mean() < 0.85  # 1 - 0.5 x 0.5


def test_noise_has_a_standard_deviation_of_up_to_30_grey_levels(images):
    deviations = (corrupted(images, noise=1.0).astype(float) - images).std(axis=(1, 2))
    assert 28 < deviations.max() < 31.5
    assert abs(deviations.mean() - 15) < 1.5


def test_light_changes_the_whole_by_up_to_80_levels_and_one_side_more():
    grey = np.full((N, 48, 48), 128, np.uint8)
    found = corrupted(grey, light=1.0).astype(int)
    for image in found:
        np.testing.assert_array_equal(image, np.broadcast_to(image[0], image.shape))
    left, right = found[:, 0, 0], found[:, 0, -1]
    bright = np.maximum(left, right)
    assert 200 < bright.max() <= 208
    assert 48 <= bright.min() < 56
    assert 0.4 < (left < right).mean() < 0.6


def test_erase_hides_a_rectangle_of_up_to_a_third_under_one_grey_level():
    noise = np.random.default_rng(2).integers(0, 256, (N, 48, 48)).astype(np.uint8)
    found = corrupted(noise, erase=1.0)
    hidden = found != noise
    for image, mask in zip(found, hidden, strict=True):
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        inside = image[np.ix_(rows, columns)]
        assert inside.size == 0 or inside.min() == inside.max()
    sizes = np.array([mask.any(axis=1).sum() * mask.any(axis=0).sum() for mask in hidden]) / 48**2
    assert 0.25 < sizes.max() <= 0.36  # whole pixels: a third, and a half of one on each side
    assert 0.08 < sizes.mean() < 1 / 6  # what is outside the image is cut off


def test_blur_and_jpeg_keep_the_mean_and_change_fine_structure():
    noise = np.random.default_rng(2).integers(0, 256, (N, 48, 48)).astype(np.uint8)
    blurred, compressed = corrupted(noise, blur=1.0), corrupted(noise, jpeg=1.0)
    assert np.abs(blurred.mean(axis=(1, 2)) - noise.mean(axis=(1, 2))).max() < 4
    assert np.median(blurred.std(axis=(1, 2))) < 0.5 * noise.std()
    assert np.abs(compressed.mean(axis=(1, 2)) - noise.mean(axis=(1, 2))).max() < 8
    errors = np.abs(compressed.astype(int) - noise).mean(axis=(1, 2))
    assert 2 < errors.min() < 10 < 25 < errors.max() < 60
