"""Hydra multirun sweeps: every combination once, whatever fails or is killed in between."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

from pipeline.core import files
from tests.conftest import Project, shrunk
from tests.interrupt import Breakpoint

pytestmark = pytest.mark.slow


def store(project: Project):
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{project.path('mlflow.db')}")


def runs(project: Project) -> list:
    client = store(project)
    return client.search_runs([client.get_experiment_by_name("synthetic").experiment_id])


def folder(project: Project):
    (found,) = project.path("multirun").iterdir()
    return found


def job(project: Project, number: int) -> dict:
    return json.loads((folder(project) / str(number) / "job.json").read_text())


@pytest.fixture(scope="module")
def swept(new_project) -> tuple[Project, object, set[str]]:
    """Return a project after a sweep of which one learning rate diverges, what it printed, and its files before."""
    project = new_project("swept a=1,2 ")  # signs of Hydra's grammar
    before = project.files()
    overrides = ("model=linear", "optimizer.learning_rate=0.001,1e38", "seed=1,2")
    return project, project.stage("train", "-m", *overrides, check=False), before


@pytest.mark.xdist_group("swept")
class TestSwept:
    def test_the_data_is_prepared_once_and_the_workspaces_results_stay(self, swept):
        project, done, before = swept
        assert done.stdout.count("84 images of synthetic") == 1
        new = {name.split("/")[0] for name in project.files() - before}
        assert new == {"data", "mlflow.db", "mlruns", "multirun", "outputs"}

    def test_every_job_is_evaluated_on_val_and_never_on_test(self, swept):
        project, _, _ = swept
        for number in (0, 1):
            assert job(project, number)["val"]["images"] == 14
            with np.load(folder(project) / str(number) / "results/predictions_val.npz") as predicted:
                assert set(predicted.files) == {"probabilities", "labels"}
            assert not (folder(project) / str(number) / "results/predictions_test.npz").exists()
        names = {name for run in runs(project) for name in run.data.metrics}
        assert "val/accuracy" in names
        assert not [name for name in names if name.startswith(("test", "kaggle"))]

    def test_a_failed_job_is_recorded_with_its_error_and_stops_no_other(self, swept):
        project, done, _ = swept
        assert done.returncode == 1
        assert "2 of 4 jobs failed" in done.stderr
        assert re.search(r"^\| 1 .* 2 seeds", done.stdout, re.MULTILINE)
        with open(folder(project) / "sweep.csv") as file:
            assert [row["status"] for row in csv.DictReader(file)] == ["FINISHED", "FINISHED", "FAILED", "FAILED"]
        assert "training diverged" in done.stderr
        failed = [run for run in runs(project) if "mlflow.parentRunId" in run.data.tags and run.info.status == "FAILED"]
        assert len(failed) == 2
        assert all("diverged" in run.data.tags["error"] for run in failed)

    def test_one_parent_run_has_a_child_for_each_job(self, swept):
        project, _, _ = swept
        (parent,) = (run for run in runs(project) if "mlflow.parentRunId" not in run.data.tags)
        children = [run for run in runs(project) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(children) == 4
        assert parent.info.run_name == "sweep of learning_rate x seed, 4 jobs"
        assert {run.info.run_name for run in children} >= {"learning_rate=0.001, seed=1"}
        assert {run.data.tags["sweep"] for run in (parent, *children)} == {folder(project).name}
        assert "| configuration" in parent.data.tags["mlflow.note.content"]
        assert {"sweep.csv", "sweep.md"} <= {a.path for a in store(project).list_artifacts(parent.info.run_id)}

    def test_the_command_it_prints_makes_the_winner_the_recorded_run(self, swept, tmp_path):
        _, done, _ = swept
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("To make line 1"))
        command = line.partition("python -m pipeline.use ")[2].partition(" && ")[0]
        other = shrunk(tmp_path)
        other.stage("use", *command.split())
        seeds = [job(swept[0], i) for i in (0, 1)]
        best = max(seeds, key=lambda result: result["val"]["accuracy"])
        for stage in ("download", "preprocess", "train"):
            other.stage(stage)
        run = json.loads(other.path("results/run.json").read_text())
        expected = (folder(swept[0]) / str(seeds.index(best)) / "results/run.json").read_text()
        assert run["config"] == json.loads(expected)["config"]
        one, same = (p / "results/history.csv" for p in (other.folder, folder(swept[0]) / str(seeds.index(best))))
        losses = [[row["val_loss"] for row in files.read_csv(path)] for path in (one, same)]
        assert losses[0] == losses[1], "a job of a sweep computes what the stage does"


def test_a_killed_sweep_goes_on_where_it_was(project):
    project.edit("params.yaml", "epochs: 1", "epochs: 3")
    arguments = ("model=linear", "seed=1,2,3")
    third = Breakpoint(project, epoch=3, trainings=2)
    sweep = project.start("python", "-m", "pipeline.train", "-m", *arguments, real=False)
    third.resume(third.wait(sweep))
    third.kill(sweep)
    first = job(project, 0)
    done = project.stage("train", "-m", *arguments)
    assert "[1/3] seed=1: already finished" in done.stdout
    assert "resuming after epoch 2 of 3" in done.stdout
    assert job(project, 0) == first
    assert sorted(run.info.status for run in runs(project)) == ["FINISHED"] * 4


def test_a_training_with_overrides_is_a_single_run_that_resumes(project):
    arguments = ("model=linear", "train.epochs=3")
    third = Breakpoint(project, epoch=3)
    third.kill(project.start("python", "-m", "pipeline.train", *arguments, real=False))
    done = project.stage("train", *arguments)
    (result,) = project.path("outputs").glob("2*/*/job.json")
    assert f"a single run in {result.parent}; models/ and results/ belong to `dvc repro`" in done.stdout
    assert "resuming after epoch 2 of 3" in done.stdout
    (run,) = runs(project)
    assert (run.info.run_name, run.info.status) == ("model=linear, epochs=3", "FINISHED")
    assert run.data.tags["source"] == "manual"
    assert run.data.metrics["val/accuracy"] == json.loads(result.read_text())["val"]["accuracy"]
    assert not project.path("results").exists()
    assert not project.path("multirun").exists()
    assert "already finished" in project.stage("train", *arguments).stdout
    # Other images with the same settings and the same code.
    project.edit("pipeline/download/synthetic.py", r"^WHITE = 0.92", "WHITE = 0.80")
    shutil.rmtree(project.path("data"))
    assert "already finished" not in project.stage("train", *arguments).stdout
    assert len(list(project.path("outputs").glob("2*/*/job.json"))) == 2


def test_hydras_own_option_names_the_folder_of_a_single_run(project):
    project.stage("train", "model=linear", "hydra.run.dir=outputs/mine")
    assert {"models", "results"} <= {path.name for path in project.path("outputs/mine").iterdir()}


@pytest.mark.parametrize("override", ["seed=1,2", "hydra/launcher=parallel"])
def test_what_is_for_sweeps_needs_their_flag(project, override):
    done = project.stage("train", override, check=False)
    assert done.returncode == 1
    assert "-m" in done.stderr
    assert not project.path("multirun").exists()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=linear,nonsense"], "nonsense"),
        (["model=linear", "seed=1,-1"], "seed is -1"),
        (["model=linear", "seed=range(3,3)"], "the sweep has no jobs"),
        (["optimizer.learning_rate=interval(0.1,0.2)"], "is an interval"),
        (["train.batch_size=8,100000"], "train.batch_size is 100000; accepted: 1 to 56"),
        (["tracking=local,server"], "one store"),
        (["nonsense.key=1,2"], "nonsense"),
        (["hydra/launcher=nonsense", "seed=1,2"], "parallel"),
        (["hydra/launcher=parallel", "hydra.launcher.jobs=2", "seed=1,2"], "jobs"),
    ],
)
def test_a_mistake_in_any_combination_ends_before_any_work(project, overrides, said):
    before = project.files()
    done = project.stage("train", "-m", *overrides, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert project.files() == before


@pytest.mark.xdist_group("swept")
def test_a_folder_that_holds_another_sweep_is_refused(swept, tmp_path):
    """Job 1 of this one would otherwise be taken for job 1 of that one."""
    project, _, _ = swept
    before = job(project, 0)
    done = project.stage("train", "-m", "model=linear", "seed=3,4", f"hydra.sweep.dir='{folder(project)}'", check=False)
    assert done.returncode == 1
    assert "has another sweep" in done.stderr
    assert job(project, 0) == before


@pytest.mark.xdist_group("swept")
def test_other_settings_of_a_prepared_data_set_are_refused(swept):
    project, _, _ = swept
    done = project.stage("train", "-m", "model=linear", "data.synthetic_seed=2013,1", check=False)
    assert done.returncode == 1
    assert "was made with a different data.synthetic_seed: 2013, not 1" in done.stderr
    assert len(list(project.path("multirun").iterdir())) == 1


def test_only_train_sweeps(project):
    done = project.stage("evaluate", "-m", "seed=1,2", check=False)
    assert done.returncode == 1
    assert "a sweep is `python -m pipeline.train -m" in done.stderr
