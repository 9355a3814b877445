"""The augmentation: what each setting does to pixels, and that it depends on seed and epoch alone."""

import cv2
import numpy as np
import pytest

from pipeline.data import augment
from tests.settings import changed_by


def drawn(n: int, seed: int = 0, **settings) -> np.ndarray:
    changes = changed_by(**settings)
    return augment.transforms(augment.draw(np.random.default_rng(seed), n, changes), changes)


def changed(images: np.ndarray, seed: int = 0, **settings) -> np.ndarray:
    return np.asarray(augment.resample(images, drawn(len(images), seed, **settings)))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(5).random((64, 48, 48, 1), dtype=np.float32)


def test_nothing_chosen_changes_nothing(images):
    np.testing.assert_array_equal(changed(images), images)


def test_mirror_swaps_left_and_right_in_half_of_the_images(images):
    mirrored = changed(images, flip=True)
    same = (mirrored == images).all(axis=(1, 2, 3))
    swapped = np.isclose(mirrored, images[:, :, ::-1], atol=1e-5).all(axis=(1, 2, 3))
    assert (same ^ swapped).all()
    assert 16 < swapped.sum() < 48


def test_shift_moves_by_at_most_its_share_and_repeats_the_edge():
    image = np.zeros((1, 48, 48, 1), np.float32)
    image[0, 24, 24] = 1
    for seed in range(20):
        moved = changed(image, seed, shift=0.1)[0, :, :, 0]
        y, x = np.unravel_index(moved.argmax(), moved.shape)
        assert abs(y - 24) <= 5
        assert abs(x - 24) <= 5
    ones = np.ones((8, 48, 48, 1), np.float32)
    np.testing.assert_allclose(changed(ones, shift=0.3, rotation=45.0, zoom=0.5), 1, atol=1e-5)


def test_rotation_keeps_the_centre_and_stays_within_its_degrees():
    ramp = np.tile(np.linspace(0, 1, 48, dtype=np.float32)[None, None, :, None], (32, 48, 1, 1))
    turned = changed(ramp, rotation=10.0)
    np.testing.assert_allclose(turned[:, 23:25, 23:25].mean(axis=(1, 2, 3)), 0.5, atol=1e-3)
    slope_y = (turned[:, 30, 24, 0] - turned[:, 18, 24, 0]) / 12
    slope_x = (turned[:, 24, 30, 0] - turned[:, 24, 18, 0]) / 12
    angles = np.degrees(np.arctan2(slope_y, slope_x))
    assert np.abs(angles).max() <= 10.01
    assert np.abs(angles).max() > 5


def test_zoom_scales_each_axis_by_itself():
    transforms = drawn(500, zoom=0.2)
    across, down = transforms[:, 0], transforms[:, 4]
    assert across.min() >= 0.8
    assert across.max() <= 1.2
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.2


@pytest.mark.parametrize("settings", [{"flip": True}, {"shift": 0.1}, {"flip": True, "shift": 0.25}])
def test_moving_whole_pixels_gives_what_resampling_gives(images, settings):
    transforms = drawn(len(images), **settings)
    moved = augment.move(images[..., 0], transforms)
    np.testing.assert_allclose(moved, np.asarray(augment.resample(images, transforms))[..., 0], atol=1e-5)
    assert not np.array_equal(moved, images[..., 0])


def test_bicubic_resampling_of_pixels_moves_as_bilinear_does_and_blurs_less(images):
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in images[..., 0]])
    settings = {"flip": True, "rotation": 15.0, "zoom": 0.15, "shift": 0.1}
    transforms = drawn(len(images), **settings)
    bytes_of = lambda each: np.rint(each * 255).astype(np.uint8)  # noqa: E731
    for bicubic in (True, False):
        found = augment.resample_pixels(bytes_of(smooth), transforms, bicubic) / 255.0
        np.testing.assert_allclose(found, augment.resample(smooth[..., None], transforms)[..., 0], atol=0.03)
    sharp = augment.resample_pixels(bytes_of(images[..., 0]), transforms, bicubic=True) / 255.0
    blurred = np.asarray(augment.resample(images, transforms))[..., 0]
    middle = np.s_[:, 12:36, 12:36]  # where no edge goes on
    assert blurred[middle].var() < 0.65 * images[..., 0].var()
    assert sharp[middle].var() > 1.3 * blurred[middle].var()


def test_whole_pixels_are_shifted_in_all_directions_alike():
    transforms = drawn(5000, shift=0.05)
    found, counts = np.unique(transforms[:, [2, 5]], axis=0, return_counts=True)
    assert sorted(map(tuple, found)) == [(x, y) for x in range(-2, 3) for y in range(-2, 3)]
    assert counts.min() > 140
