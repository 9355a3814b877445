"""Sharing by DVC: push to a remote, pull in another clone, experiments too; docs/sharing.md shows the same commands."""

import json

import pytest

from tests.conftest import Project, with_dvc

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(new_project, tmp_path_factory) -> tuple[Project, Project]:
    """Return a finished project with a git and a DVC remote, to which all is pushed, and a fresh clone of it."""
    remotes = Project(tmp_path_factory.mktemp("remotes"))
    remotes.run("git", "init", "-q", "--bare", "-b", "main", "git")
    project = with_dvc(new_project("mine"), git=True)
    project.repro()
    project.run("dvc", "remote", "add", "-d", "storage", str(remotes.path("storage")))
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "results")
    project.run("dvc", "exp", "run", "--name", "longer", "-S", "train.epochs=2")
    project.run("git", "checkout", "-q", "--", ".")
    project.run("git", "remote", "add", "origin", str(remotes.path("git")))
    project.run("git", "push", "-q", "origin", "main")
    project.run("dvc", "push")
    project.run("dvc", "exp", "push", "origin", "longer")
    remotes.run("git", "clone", "-q", "git", "theirs")
    return project, Project(remotes.path("theirs"))


def test_a_clone_pulls_the_model_and_repeats_nothing(shared):
    project, clone = shared
    clone.run("dvc", "pull")
    assert clone.path("models/model.h5").read_bytes() == project.path("models/model.h5").read_bytes()
    assert "up to date" in clone.repro().stdout
    assert not clone.path("mlflow.db").exists(), "MLflow's runs are not DVC's: a tracking server or merge shares them"


def test_an_experiment_is_pulled_and_applied(shared):
    _, clone = shared
    assert "longer" in clone.run("dvc", "exp", "list", "origin").stdout
    clone.run("dvc", "exp", "pull", "origin", "longer")
    clone.run("dvc", "exp", "apply", "longer")
    assert json.loads(clone.path("results/run.json").read_text())["config"]["train"]["epochs"] == 2
    assert "up to date" in clone.repro().stdout
    changed = json.loads(clone.run("dvc", "params", "diff", "--json").stdout)
    assert changed["params.yaml"] == {"train.epochs": {"old": 1, "new": 2, "diff": 1}}
    clone.run("git", "checkout", "-q", "--", ".")


def test_without_a_remote_dvc_says_what_is_missing(shared, tmp_path):
    _, clone = shared
    clone.run("git", "clone", "-q", ".", str(tmp_path / "copy"))
    copy = Project(tmp_path / "copy")
    copy.run("dvc", "remote", "remove", "storage")
    done = copy.run("dvc", "pull", check=False)
    assert done.returncode != 0
    assert "No remote provided and no default remote set" in done.stderr
    assert copy.path("results/details.json").exists(), "git has the numbers"


def test_a_conflict_in_dvcs_lock_is_settled_by_taking_one_side_and_repro(shared):
    """Both sides trained with other settings: the lock of either is complete, and repro makes the outputs fit it."""
    project, _ = shared
    for branch, epochs in (("three", 3), ("four", 4)):
        project.run("git", "checkout", "-q", "-b", branch, "main")
        project.edit("params.yaml", r"epochs: \d+", f"epochs: {epochs}")
        project.repro()
        project.run("git", "commit", "-qam", branch)
    assert project.run("git", "merge", "three", check=False).returncode == 1
    project.run("git", "checkout", "three", "--", "params.yaml", "conf", "dvc.lock", "results")
    project.run("git", "commit", "-qm", "three")
    printed = project.repro().stdout
    assert "Running stage" not in printed, "the run cache has the outputs"
    assert json.loads(project.path("results/run.json").read_text())["config"]["train"]["epochs"] == 3
    assert not project.run("git", "status", "--porcelain").stdout
