"""What `python -m pipeline.verify` passes, and what it names: on the finished project, with one thing changed in it."""

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest

from pipeline.verify.check import Check
from pipeline.verify.tolerance import of_scores
from tests.conftest import ROOT, Project

PAGES = ("README.md", "docs/recipes.md", "docs/robustness.md", "weights/README.md")


RECIPE = """
from pipeline import recipe
from pipeline.core import files, paths

result = {"experiment": "demo", "command": "", **recipe.summed([paths.ROOT])}
result["weights"] |= recipe._keep(paths.Outputs().model, "demo")
files.write_json(paths.experiment("demo"), result)
"""
"""Makes the finished run what the recipe demo gave with one seed."""


TRAINED = """
from pipeline.training import runtime
runtime.configure()
from pipeline.verification import retrained
check = retrained.quickest()
print(check.line(), check.wrong, sep="\\n")
"""


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory) -> Project:
    """Return a copy of the finished project that has a recipe too, and pages with its numbers."""
    copy = Project(shutil.copytree(finished.folder, tmp_path_factory.mktemp("whole") / "copy"))
    copy.edit("conf/experiment/demo.yaml", "epochs: 6", "epochs: 1")
    copy.edit("conf/experiment/demo.yaml", "batch_size: 32", "batch_size: 8")
    copy.run(sys.executable, "-c", RECIPE)
    for page in PAGES:
        copy.path(page).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / page, copy.path(page))
    copy.stage("readme")
    return copy


@pytest.fixture
def recorded(whole, tmp_path) -> Project:
    """Return a copy of that, to be changed."""
    return Project(shutil.copytree(whole.folder, tmp_path / "copy"))


def verify(project: Project, *wrong: str) -> str:
    """Return what is printed; the errors must be those that begin with `wrong`, and no more."""
    done = project.stage("verify", check=False)
    errors = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == bool(wrong), done.stdout + done.stderr
    assert len(errors) == (len(wrong) + 1 if wrong else 0), errors
    for line, expected in zip(errors, wrong, strict=False):
        assert expected in line
    return done.stdout


pytestmark = pytest.mark.xdist_group("finished")


@pytest.mark.slow
def test_what_was_recorded_is_found_again_and_every_number_of_it_compared(recorded):
    printed = verify(recorded)
    counts = {line.partition(",")[0]: line for line in printed.splitlines() if "largest difference" in line}
    assert all("largest difference 0" in line for line in counts.values())
    assert {"results/audit.json", "results/predictions.npz", "results/metrics.json", "results/history.csv"} <= set(
        counts
    )
    assert {"MLflow", *PAGES} <= set(counts)
    metrics = json.dumps(json.loads(recorded.path("results/metrics.json").read_text()))
    numbers = len(re.findall(r": -?[0-9]", metrics))
    assert int(re.search(r"(\d+) values", counts["results/metrics.json"])[1]) == numbers + 3  # and three names


@pytest.mark.slow
def test_a_changed_digit_is_named_with_both_values(recorded):
    metrics = json.loads(recorded.path("results/metrics.json").read_text())
    loss = metrics["mirrored"]["test"]["loss"]
    metrics["mirrored"]["test"]["loss"] = loss + 1e-9
    recorded.path("results/metrics.json").write_text(json.dumps(metrics))
    recorded.edit("README.md", r"manual inspection \| \d of", "manual inspection | 9 of")
    with closing(sqlite3.connect(recorded.path("mlruns/mlflow.db"))) as store, store:
        store.execute("UPDATE metrics SET value = 0.25 WHERE key = 'val_loss'")
        store.execute("UPDATE latest_metrics SET value = 0.5 WHERE key = 'test_ece'")
    val_loss = recorded.path("results/history.csv").read_text().splitlines()[1].split(",")[3]
    verify(
        recorded,
        f"results/metrics.json, scored anew: mirrored.test.loss is {loss + 1e-9}, found {loss}",
        f"MLflow, every metric of every epoch, beside history.csv: val_loss, epoch 1 is 0.25, found {val_loss}",
        "test_ece is 0.5, found",
        "MLflow, files of the run: metrics.json is as in the workspace, found another file",
        "README.md, written anew: line ",
    )


@pytest.mark.slow
def test_changed_predictions_and_a_time_that_is_not_the_epochs_are_named(recorded):
    path = recorded.path("results/predictions.npz")
    arrays = dict(np.load(path))
    arrays["test_probabilities"][3, 2] += 0.01
    np.savez_compressed(path, **arrays)
    recorded.edit("results/run.json", r'"seconds": [0-9.]+', '"seconds": 1000.5')
    recorded.edit("results/experiments/demo.json", r'"bytes": ', '"bytes": 1')
    verify(
        recorded,
        "results/predictions.npz, predicted anew: test probabilities, 1 differ, most at [3, 2]: is ",
        "results/history.csv, beside run.json and speed.json: seconds is 1000.5, found ",
        "MLflow, files of the run: run.json is as in the workspace, found another file",
        "results/experiments/demo.json, weights/demo.h5 scored anew: weights.bytes is 1",
    )


@pytest.mark.slow
def test_a_recipe_is_trained_anew_to_the_same_bits_or_the_same_accuracy_and_not_with_other_settings(recorded):
    def trained(**environment: str) -> str:
        return recorded.run(sys.executable, "-c", TRAINED, **environment).stdout

    assert "demo.h5, trained anew: 11,874 values, bit for bit, largest difference 0\n[]" in trained()
    rounded = trained(TF_ENABLE_ONEDNN_OPTS="0")  # as another machine would
    assert "other weights, val accuracy " in rounded
    assert rounded.endswith("[]\n")
    recorded.edit("conf/experiment/demo.yaml", "epochs: 1", "epochs: 2")
    verify(recorded, "weights/demo.h5, trained anew: config.train.epochs is 1, found 2")


@pytest.mark.slow
def test_a_run_that_was_made_again_is_held_against_the_committed_one(recorded):
    """The commit has the run of another machine: its id, and an accuracy that is a little or far from the one here."""
    metrics = recorded.path("results/metrics.json")
    kept = {path: path.read_text() for path in (metrics, recorded.path("results/run.json"))}
    test = json.loads(kept[metrics])["test"]["accuracy"]

    def commit(accuracy: float, seed: str = "42") -> None:
        recorded.edit("results/run.json", r'"mlflow_run_id": "\w+"', '"mlflow_run_id": "elsewhere"')
        recorded.edit("results/run.json", r'"seed": \d+', f'"seed": {seed}')
        scores = json.loads(kept[metrics])
        scores["test"]["accuracy"] = accuracy
        metrics.write_text(json.dumps(scores))
        recorded.stage("readme")
        for command in (["init", "-q"], ["add", "results", "README.md"], ["commit", "-qm", "elsewhere"]):
            recorded.run("git", "-c", "user.name=test", "-c", "user.email=test@example.invalid", *command)
        for path, text in kept.items():
            path.write_text(text)

    commit(test - 0.02)
    printed = verify(recorded)
    assert "beside the committed run's: 4 values, within 2.5 points, largest difference 0.02" in printed
    assert "README.md, not verified: it shows the committed run" in printed
    commit(test - 0.03)
    verify(recorded, f"results/metrics.json, beside the committed run's: test, accuracy is {test - 0.03}, found {test}")
    commit(test - 0.03, seed="43")
    printed = verify(recorded)
    assert "the committed run, not verified: the run in results/ has other settings" in printed
    assert "README.md, not verified: it shows the committed run" in printed


def test_what_is_missing_is_said_with_what_makes_it(project):
    for missing in ("results/run.json", "models/model.h5"):
        done = project.stage("verify", check=False)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == f"error: {project.path(missing)} is missing; `dvc repro` makes it\n"
        shutil.copytree(ROOT / "results", project.path("results"), dirs_exist_ok=True)  # as in a fresh clone


def test_nan_a_missing_key_and_another_name_are_wrong_at_any_tolerance():
    check = Check("file")
    check.compare({"a": 1.0, "b": {"c": 1.0}, "d": "x", "e": 1}, {"a": float("nan"), "b": {}, "d": "y", "e": 1}, 10.0)
    assert [line.split(" is ")[0] for line in check.wrong] == ["file: a", "file: b.c", "file: d"]


def test_another_processor_may_move_two_images_of_a_share_and_no_count():
    scores = {"images": 1000, "accuracy": 0.5, "loss": 1.0, "emotions": {"sad": {"images": 10, "f1": 0.5}}}
    for key, value, right in [("accuracy", 0.502, True), ("accuracy", 0.503, False), ("loss", 1.0002, False)]:
        check = Check("file")
        check.compare_scores({"val": scores}, {"val": scores | {key: value}}, of_scores({"val": scores}), alike=False)
        assert (not check.wrong) == right, (key, value)
    check = Check("file")
    check.compare_scores({"val": scores}, {"val": scores | {"images": 999}}, of_scores({"val": scores}), alike=False)
    assert check.wrong == ["file: val.images is 1000, found 999"]
