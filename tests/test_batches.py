"""Batches: the values, and that an epoch depends on the seed and its number alone."""

import numpy as np
import pytest

from pipeline.data import batches
from pipeline.data.arrays import Split
from tests.settings import AS_THEY_ARE, changed_by

TARGETS = np.eye(3, dtype=np.float32)
AUGMENT = changed_by(flip=True, rotation=10.0, zoom=0.1, shift=0.1, mixup=0.3, cutmix=0.3, erase=0.3)


@pytest.fixture
def split() -> Split:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (30, 48, 48), dtype=np.uint8)
    rows = np.arange(3, 24)
    return Split(pixels, rows, rng.integers(0, 3, len(rows)).astype(np.int32))


def collect(dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def test_an_epoch_holds_every_image_once(split):
    found = collect(batches.training(split, TARGETS, AS_THEY_ARE, 8, 42, range(1, 2)))
    assert [len(x) for x, _ in found] == [8, 8, 5]
    images = np.concatenate([x for x, _ in found])
    assert images.shape == (21, 48, 48, 1)
    assert images.dtype == np.float32
    expected = split.images() / 255.0
    order = [int(np.abs(expected - image[..., 0]).sum(axis=(1, 2)).argmin()) for image in images]
    assert sorted(order) == list(range(21))
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), TARGETS[split.labels[order]])


@pytest.mark.parametrize("erase", [0.0, 0.3])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_starting_in_the_middle_gives_what_would_have_come(split, interpolation, erase):
    changes = changed_by(**AUGMENT.model_dump() | {"interpolation": interpolation, "erase": erase})
    whole = collect(batches.training(split, TARGETS, changes, 8, 42, range(1, 4)))
    rest = collect(batches.training(split, TARGETS, changes, 8, 42, range(2, 4)))
    for (x, y), (again_x, again_y) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(x, again_x)
        np.testing.assert_array_equal(y, again_y)
    assert not np.array_equal(whole[0][0], whole[3][0])


def test_pairs_are_the_images_with_and_without_their_corruptions(split):
    changes = AUGMENT.model_dump() | {"erase": 0.0}
    corrupted = changed_by(**changes | {"noise": 1.0})
    pairs = collect_pairs(batches.training(split, TARGETS, corrupted, 8, 42, range(1, 2), uncorrupted=True))
    alone = collect(batches.training(split, TARGETS, corrupted, 8, 42, range(1, 2)))
    for (one, other, y), (x, labels) in zip(pairs, alone, strict=True):
        np.testing.assert_array_equal(one, x)
        np.testing.assert_array_equal(y, labels)
        assert one.shape == other.shape
        assert np.abs(one - other).mean() > 0.01
    # Up to the first chunk's corruptions, the same random numbers are drawn.
    for (_, other, y), (x, labels) in zip(pairs, collect(without(split, changes)), strict=True):
        assert np.abs(other - x).mean() < 0.01  # resampled by OpenCV and by TensorFlow
        np.testing.assert_array_equal(y, labels)


def collect_pairs(dataset) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [(x.numpy(), clean.numpy(), y.numpy()) for (x, clean), y in dataset]


def without(split, changes):
    return batches.training(split, TARGETS, changed_by(**changes), 8, 42, range(1, 2))


def test_another_seed_gives_another_epoch(split):
    one, other = (collect(batches.training(split, TARGETS, AUGMENT, 8, seed, range(1, 2))) for seed in (1, 2))
    assert not np.array_equal(one[0][0], other[0][0])


def test_scoring_keeps_the_order_and_the_pixels(split):
    found = collect(batches.scoring(split, 3, 8))
    np.testing.assert_allclose(np.concatenate([x for x, _ in found])[..., 0], split.images() / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]).argmax(1), split.labels)
