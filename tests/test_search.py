"""Searches: Optuna's study, its file, and the command that trains, stops, continues and shares it."""

import csv
import json
import re
import sys

import pytest

from pipeline.core import params, paths
from pipeline.core.errors import PipelineError
from pipeline.search import space
from pipeline.search.study import Study
from tests.conftest import ROOT, Project
from tests.interrupt import Breakpoint
from tests.test_sweep import folder, runs

pytestmark = pytest.mark.slow

SMALL = """
overrides: [model=linear, train.epochs=3]
space:
  optimizer.learning_rate: {values: [0.001, 1.0e+38]}    # the second one diverges
  optimizer.beta_1: {low: 0.5, high: 0.99, log: false}
trials: 2
random_trials: 20
stopping: {startup_trials: 3, warmup_epochs: 1}
seed: 4                                                  # draws a good point, a diverging one, and a good one
"""
SIX = re.sub("stopping: .*", "stopping: null", SMALL).replace(", 1.0e+38", "").replace("trials: 2\n", "trials: 6\n")


def put(project: Project, content: str) -> None:
    project.path("conf/search/small.yaml").write_text(content)


def search(project: Project, *arguments: str, check: bool = True):
    return project.stage("search", "small", *arguments, check=check)


def trials(project: Project) -> list[dict[str, str]]:
    with open(folder(project) / "trials.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf/search").glob("*.yaml")))
def test_every_search_is_valid_at_each_end_of_its_space(name):
    search = space.load(name, [], [])
    assert len(space.corners(name, search)) == 1 + sum(len(d.ends()) - 1 for d in search.space.values())


@pytest.fixture(scope="module")
def searched(new_project) -> tuple[Project, object, set[str]]:
    """Return a project after a search of two trials and one that diverged, what it printed, and its files before."""
    project = new_project("searched")
    put(project, SMALL)
    before = project.files()
    return project, search(project), before


@pytest.mark.xdist_group("searched")
class TestSearched:
    def test_a_diverged_trial_is_recorded_and_another_takes_its_place(self, searched):
        project, done, before = searched
        assert [row["state"] for row in trials(project)] == ["finished", "failed", "finished"]
        assert "training diverged" in trials(project)[1]["error"]
        assert "3 trials: 2 finished, 1 failed" in done.stdout
        assert {name.split("/")[0] for name in project.files() - before} == {
            *("data", "mlflow.db", "mlruns", "multirun", "outputs")
        }

    def test_one_parent_run_has_a_child_for_each_trial_and_none_reads_test(self, searched):
        project, _, _ = searched
        (parent,) = (run for run in runs(project) if "mlflow.parentRunId" not in run.data.tags)
        children = [run for run in runs(project) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED", "FINISHED"]
        assert {run.data.tags["source"] for run in (parent, *children)} == {"search"}
        assert "| configuration" in parent.data.tags["mlflow.note.content"]
        kept = {run.data.metrics["val/accuracy"] for run in children if run.info.status == "FINISHED"}
        assert parent.data.metrics["best_val_accuracy"] == max(kept)
        assert not [name for run in children for name in run.data.metrics if name.startswith(("test", "kaggle"))]

    def test_the_steps_it_prints_make_the_best_trial_the_recorded_run(self, searched):
        _, done, _ = searched
        (first,) = (line for line in done.stdout.splitlines() if line.startswith("| 1 "))
        (said,) = (line for line in done.stdout.splitlines() if line.startswith("To make line 1"))
        value = re.search("optimizer.beta_1=([0-9.]+)", first)[1]
        assert f"set optimizer.beta_1 to {value} in conf/optimizer/adam.yaml, then python -m pipeline.use " in said
        assert {"model=linear", "train.epochs=3"} <= set(said.split())

    def test_more_trials_go_on_with_the_study_and_the_hopeless_ones_are_stopped(self, searched):
        project, _, _ = searched
        study = Study(folder(project), space.Search.model_validate(parsed(SMALL.replace("trials: 2\n", "trials: 4\n"))))
        with study.alive:
            for _ in range(2):  # none of this data is as good as these are made to be
                trial = study.begin()
                trial.report(1.0, 1)
                study.end(trial, {"status": "FINISHED", "val": {"accuracy": 1.0}})
        done = search(project, "trials=6")
        states = [row["state"] for row in trials(project)]
        assert states == ["finished", "failed", "finished", "finished", "finished", "failed", "stopped", "stopped"]
        assert {row["epochs"] for row in trials(project)[-2:]} == {"1"}
        stopped = [run for run in runs(project) if "stopped" in run.data.tags]
        assert [run.info.status for run in stopped] == ["KILLED"] * 2
        assert all(run.data.tags["stopped"].startswith("after epoch 1 of 3") for run in stopped)
        assert not list(project.path("outputs/checkpoints").rglob("state.npz"))
        again = search(project, "trials=6")
        assert "[trial" in done.stdout
        assert "[trial" not in again.stdout
        assert "| configuration" in again.stdout


def test_a_killed_trial_goes_on_in_one_of_two_processes_that_share_the_rest(project):
    put(project, SIX)
    command = (sys.executable, "-m", "pipeline.search", "small")
    third = Breakpoint(project, epoch=3)
    third.kill(project.start(*command, real=False))
    third.arm(2)
    both = [project.start(*command, real=False) for _ in range(2)]
    for pid in [third.wait(process) for process in both]:
        third.resume(pid)
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert "".join(printed).count("resuming after epoch 2 of 3") == 1
    assert all("[trial" in text for text in printed)
    assert [row["state"] for row in trials(project)] == ["finished"] * 6
    assert len({row["configuration"] for row in trials(project)}) == 6
    assert {row["epochs"] for row in trials(project)} == {"3"}
    assert [run.info.status for run in runs(project)] == ["FINISHED"] * 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no search is named; choose from best, seed_cnn"),
        (["nonsense"], "unknown search 'nonsense'; choose from best, seed_cnn"),
        (
            ["synthetic", "trials=0"],
            "synthetic.yaml trials=0: trials is 0; accepted: greater than or equal to 1",
        ),
        (["synthetic", "model=linear", "augment=none"], "augment=none: conf/search/synthetic.yaml varies augment"),
        (["seed_cnn", "model=linear"], "unknown key 'model.dropout'; accepted: name"),
        (["synthetic", "nonsense=1"], "nonsense"),
    ],
)
def test_a_mistake_ends_before_any_work(project, arguments, said):
    before = project.files()
    done = project.stage("search", *arguments, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert project.files() == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("low: 0.5", "low: 0.99", "beta_1 has low 0.99 and high 0.99; accepted: low below high"),
        ("low: 0.5", "low: x", "space.optimizer.beta_1.low is 'x'; accepted: a number"),
        ("low: 0.5, high: 0.99, log: false", "low: 0, high: 1, log: true", "accepted: low above 0"),
        (", log: false", "", "key 'space.optimizer.beta_1.log' is missing"),
        ("low: 0.5", "least: 0.5", "unknown key 'space.optimizer.beta_1.least'; accepted: low, high, log"),
        ("[0.001, 1.0e+38]", "[]", "space.optimizer.learning_rate.values"),
        ("\ntrials: 2", "\ntrials: 0", "trials is 0; accepted: greater than or equal to 1"),
        ("warmup_epochs: 1", "warmup: 1", "unknown key 'stopping.warmup'; accepted: startup_trials, warmup_epochs"),
        ("\nseed: 4", "\nsed: 4", "unknown key 'sed'; accepted: overrides, space, trials"),
    ],
)
def test_a_mistake_in_the_file_is_named(monkeypatch, tmp_path, old, new, said):
    assert old in SMALL
    (tmp_path / "search").mkdir()
    (tmp_path / "search/small.yaml").write_text(SMALL.replace(old, new))
    monkeypatch.setattr(paths, "CONF", tmp_path)
    with pytest.raises(PipelineError, match=re.escape(said)) as error:
        space.load("small", [], [])
    assert "conf/search/small.yaml" in str(error.value)


def test_what_params_yaml_has_no_place_for_is_said_beside_the_command():
    said = params.advice(["model.dropout=0.3", "train.epochs=7"], "line 1")
    assert "set model.dropout to 0.3 in conf/model/seed_cnn.yaml, then python -m pipeline.use train.epochs=7 " in said


def parsed(text: str) -> dict:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.create(text))


def made(trials: int) -> space.Search:
    return space.Search.model_validate(parsed(SIX) | {"trials": trials, "random_trials": 2})


def points(study: Study, crash_at: int | None = None) -> list[list[str]]:
    """Return what the study draws, each point as good as its beta_1 is low; leave one trial open where it crashes."""
    drawn = []
    with study.alive:
        while trial := study.begin():
            drawn.append(trial.user_attrs["overrides"])
            if len(drawn) == crash_at:
                break
            study.end(trial, {"status": "FINISHED", "val": {"accuracy": 1 - float(drawn[-1][1].partition("=")[2])}})
    return drawn


class TestStudy:
    def test_a_continued_search_draws_what_an_uninterrupted_one_draws(self, tmp_path):
        first = points(Study(tmp_path / "a", made(4)))
        more = points(Study(tmp_path / "a", made(9)))
        assert (len(first), len(more)) == (4, 5)
        assert first + more == points(Study(tmp_path / "b", made(9)))

    def test_the_open_trial_of_a_process_that_is_gone_is_drawn_again(self, tmp_path):
        first = points(Study(tmp_path, made(4)), crash_at=3)
        more = points(Study(tmp_path, made(4)))
        assert more[0] == first[-1]
        assert len(more) == 2
        assert [row["state"] for row in Study(tmp_path, made(4)).rows()] == ["finished"] * 4

    def test_the_open_trial_of_a_living_process_is_left_to_it(self, tmp_path):
        one, other = (Study(tmp_path, made(2)) for _ in range(2))
        with one.alive:
            kept = one.begin()
            assert kept.user_attrs["overrides"] not in points(other)
            assert [row["state"] for row in other.rows()] == ["running", "finished"]
            assert one.begin() is None

    @pytest.mark.parametrize("cut", [1, 20])
    def test_a_last_line_that_was_cut_costs_no_other(self, tmp_path, cut):
        first = points(Study(tmp_path, made(3)))
        log = tmp_path / "study.log"
        log.write_bytes(log.read_bytes()[:-cut])
        assert points(Study(tmp_path, made(3))) == first[-1:], "that line said that the last trial was done"
        assert [json.loads(line) for line in log.read_text().splitlines()]
        assert len(points(Study(tmp_path, made(4)))) == 1

    @pytest.mark.parametrize("garbage", [b"\0\xff\n", b'{"op_code":6}\n', b"[]\n"])
    def test_a_damaged_line_is_an_error_that_names_the_file_and_changes_nothing(self, tmp_path, garbage):
        points(Study(tmp_path, made(2)))
        log = tmp_path / "study.log"
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join([*lines[:3], garbage, *lines[3:]]))
        before = log.read_bytes()
        with pytest.raises(PipelineError, match=re.escape(f"{log} is damaged")):
            Study(tmp_path, made(2))
        assert log.read_bytes() == before
