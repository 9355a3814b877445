"""The labels of training images, as probabilities."""

import numpy as np

from pipeline.train.targets import targets


def test_without_smoothing_a_target_is_the_label():
    found = targets(3, 0.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.eye(3))


def test_a_smoothed_label_still_names_its_class_and_sums_to_one():
    np.testing.assert_allclose(targets(3, 0.3), 0.7 * np.eye(3) + 0.1, rtol=1e-6)
