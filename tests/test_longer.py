"""More epochs: a longer training resumes from a finished shorter one, bit for bit, or says why not."""

import hashlib

import numpy as np
import pytest

from pipeline.core import files
from tests.conftest import with_dvc


def trained(project, epochs: int) -> tuple[str, list[float], str]:
    """Train for `epochs`; return what was printed, the losses, and the digest of the weights."""
    project.edit("params.yaml", r"epochs: \d+", f"epochs: {epochs}")
    printed = project.repro("train").stdout
    losses = [row["loss"] for row in files.read_csv(project.path("results/history.csv"))]
    return printed, losses, hashlib.sha256(project.path("models/model.h5").read_bytes()).hexdigest()


@pytest.fixture
def twin(project, new_project):
    return project, new_project("twin")


def test_a_longer_training_is_what_it_would_have_been_at_once(twin):
    project, other = map(with_dvc, twin)
    trained(project, 2)
    printed, losses, weights = trained(project, 3)
    assert "resuming after epoch 2 of 3" in printed
    at_once = trained(other, 3)
    assert "resuming" not in at_once[0]
    assert (losses, weights) == at_once[1:]
    assert np.isfinite(losses).all()
    assert "resuming" not in trained(project, 2)[0], "a shorter one starts anew"


def test_a_schedule_that_depends_on_the_number_of_epochs_starts_anew_and_says_so(project):
    project.edit("params.yaml", "schedule: constant", "schedule: cosine")
    project.stage("download")
    project.stage("preprocess")
    project.stage("train")
    project.edit("params.yaml", r"epochs: \d+", "epochs: 2")
    printed = project.stage("train").stdout
    assert "training starts at epoch 1: with schedule=cosine epochs depend on train.epochs" in printed
    assert "epoch  1:" in printed
