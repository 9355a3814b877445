"""One training is one run in MLflow, however it was interrupted: all as in an undisturbed one."""

import os
import shutil
import signal

import pytest

from tests import record
from tests.conftest import Project, with_dvc
from tests.interrupt import Breakpoint

pytestmark = pytest.mark.slow


def made(project: Project) -> Project:
    """Return `project` with three epochs and a seed whose model predicts several classes, and so is registered."""
    project.edit("params.yaml", r"epochs: \d+", "epochs: 3")
    project.edit("params.yaml", r"^seed: \d+", "seed: 2")
    return with_dvc(project)


@pytest.fixture(scope="module")
def undisturbed(finished) -> list[dict]:
    found = record.of(finished)
    assert len(found) == 1
    assert [model["model"][1] for model in found[0]["models"]] == ["READY"]
    assert [step for step, _ in found[0]["metrics"]["train/loss"]] == [1, 2, 3]
    return found


def test_sigterm_to_dvc_alone_while_its_stage_goes_on(project, undisturbed):
    second = Breakpoint(made(project), epoch=2)
    dvc = project.start("dvc", "repro")
    stopped = second.wait(dvc)
    os.kill(dvc.pid, signal.SIGTERM)
    dvc.wait()
    second.resume(stopped)
    project.repro()
    assert record.of(project) == undisturbed


def test_a_checkpoint_that_was_cut_in_half(project, undisturbed):
    third = Breakpoint(made(project), epoch=3)
    third.kill(project.start("dvc", "repro"))
    (state,) = project.path("outputs/checkpoints").glob("*/state.npz")
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    assert "training starts again" in project.repro().stdout
    assert record.of(project) == undisturbed


def test_a_kill_between_the_record_and_dvcs_lock(project, undisturbed):
    made(project).repro("train")
    project.path("dvc.lock").unlink()
    shutil.rmtree(project.path(".dvc/cache/runs"))  # DVC writes it just before its lock
    project.repro()
    assert record.of(project) == undisturbed


@pytest.mark.parametrize("call", ["create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_table"])
def test_a_kill_while_the_model_is_logged(project, undisturbed, call):
    made(project)
    code = f"\n\nimport os\nfrom mlflow import MlflowClient\nMlflowClient.{call} = lambda *_: os.kill(os.getpid(), 9)\n"
    module = project.path("pipeline/tracking/models.py")
    whole = module.read_text()
    module.write_text(whole + code)
    assert project.repro(check=False).returncode != 0
    module.write_text(whole)
    project.repro()
    assert record.of(project) == undisturbed
