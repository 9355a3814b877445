"""What a network is to say of each training image: its label, smoothed, and its teachers' part in it."""

import hashlib

import numpy as np
import pytest

from pipeline import models
from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Linear, Teacher
from pipeline.data.arrays import Split
from pipeline.evaluation import scoring
from pipeline.training import saved
from pipeline.training.targets import targets
from tests.recipes import NO_TEACHER


@pytest.fixture
def split() -> Split:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (12, 48, 48), dtype=np.uint8)
    return Split(pixels, np.arange(12), rng.integers(0, 3, 12).astype(np.int32))


@pytest.fixture
def networks(tmp_path, monkeypatch) -> dict[str, str]:
    """Return two networks of a checkout, each with its SHA-256."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    made = {}
    for name in ("one.h5", "two.h5"):
        models.build(Linear(name="linear"), 3).save(tmp_path / name, include_optimizer=False)
        made[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    return made


def test_without_smoothing_or_teacher_a_target_is_the_label(split):
    np.testing.assert_array_equal(targets(split, 3, 0.0, NO_TEACHER), np.eye(3)[split.labels])


def test_a_smoothed_label_still_names_its_class_and_sums_to_one(split):
    np.testing.assert_allclose(targets(split, 3, 0.3, NO_TEACHER), 0.7 * np.eye(3)[split.labels] + 0.1, rtol=1e-6)


def test_teachers_have_their_share_in_the_mean(split, networks, tmp_path):
    said = [scoring.predict_with_mirror(saved.load(tmp_path / name), split) for name in networks]
    expected = 0.6 * np.eye(3)[split.labels] + 0.4 * sum(said) / 2
    found = targets(split, 3, 0.0, Teacher(networks=networks, share=0.4))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_another_network_than_the_one_that_is_named_is_refused(split, networks, tmp_path):
    (tmp_path / "two.h5").write_bytes((tmp_path / "one.h5").read_bytes())
    with pytest.raises(PipelineError, match=r"two\.h5 is missing, or not the network"):
        targets(split, 3, 0.0, Teacher(networks=networks, share=0.4))


def test_a_teacher_of_other_emotions_is_refused(split, networks):
    with pytest.raises(PipelineError, match=r"one\.h5 tells 3 emotions apart, and the data have 4"):
        targets(split, 4, 0.0, Teacher(networks=networks, share=0.4))


@pytest.mark.parametrize(("networks", "share"), [({}, 0.5), ({"a.h5": "0" * 64}, 0.0)])
def test_a_share_without_a_network_is_refused_and_the_other_way_round(networks, share):
    with pytest.raises(ValueError, match="accepted: a share above 0 of one network or more, or neither"):
        Teacher(networks=networks, share=share)
