"""Mixed images: which pixels and how much of the label come from where, and in how many images."""

import numpy as np
import pytest

from pipeline.data import mixing
from tests.settings import AS_THEY_ARE, changed_by

N = 400


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(6).random((N, 48, 48, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Each image has a class of its own, so that a label says whose pixels were used."""
    return np.eye(N, dtype=np.float32)


def mixed(images, labels, **settings) -> tuple[np.ndarray, np.ndarray]:
    drawn = mixing.mixtures(mixing.draw(np.random.default_rng(0), len(images)), changed_by(**settings))
    return tuple(part.numpy() for part in mixing.mix(images, labels, drawn))


def shares(targets: np.ndarray) -> np.ndarray:
    """Return how much of each label is the image's own; check that the rest is of the one before it."""
    place = np.arange(N)
    own, other = targets[place, place], targets[place, place - 1]
    np.testing.assert_allclose(own + other, 1, atol=1e-6)
    return own


def test_mixup_blends_pixels_as_it_blends_labels(images, labels):
    found, targets = mixed(images, labels, mixup=1.0)
    own = shares(targets)
    expected = own[:, None, None, None] * images + (1 - own)[:, None, None, None] * np.roll(images, 1, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert abs(own.mean() - 0.5) < 0.05


def test_cutmix_takes_a_rectangle_and_its_share_of_the_label(images, labels):
    found, targets = mixed(images, labels, cutmix=1.0)
    taken = (found == np.roll(images, 1, axis=0))[..., 0]
    assert ((found == images)[..., 0] ^ taken).all()
    np.testing.assert_allclose(taken.mean(axis=(1, 2)), 1 - shares(targets), atol=1e-6)
    assert_rectangles(taken)


def assert_rectangles(masks: np.ndarray) -> None:
    for mask in masks:
        np.testing.assert_array_equal(mask, mask.any(axis=1)[:, None] & mask.any(axis=0))


def test_each_share_of_the_images_gets_one_change(images, labels):
    found, targets = mixed(images, labels, mixup=0.2, cutmix=0.3)
    same = (found == images)[..., 0]
    untouched, blended = same.all(axis=(1, 2)), (~same).all(axis=(1, 2))
    assert abs(untouched.mean() - 0.5) < 0.1
    assert abs(blended.mean() - 0.2) < 0.08
    assert abs((shares(targets) == 1).mean() - 0.5) < 0.1


def test_nothing_chosen_mixes_nothing(images, labels):
    assert not mixing.mixes(AS_THEY_ARE)
    found, targets = mixed(images, labels)
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(targets, labels)
