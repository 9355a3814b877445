"""The labels of training images, as probabilities."""

import numpy as np
import pytest

from pipeline.data.arrays import Split
from pipeline.training.targets import targets


@pytest.fixture
def split() -> Split:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (12, 48, 48), dtype=np.uint8)
    return Split(pixels, np.arange(12), rng.integers(0, 3, 12).astype(np.int32))


def test_without_smoothing_a_target_is_the_label(split):
    found = targets(split, 3, 0.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.eye(3)[split.labels])


def test_a_smoothed_label_still_names_its_class_and_sums_to_one(split):
    np.testing.assert_allclose(targets(split, 3, 0.3), 0.7 * np.eye(3)[split.labels] + 0.1, rtol=1e-6)
