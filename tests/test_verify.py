"""`python -m pipeline.verify` finds the recorded scores again whatever rounding does, and names what differs."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from pipeline.core import files, paths
from pipeline.models import saved
from pipeline.verify import rescore
from tests.conftest import ROOT, Project


@pytest.fixture
def scored(finished, tmp_path) -> Project:
    """Return a copy of the finished project whose model is also the one of an experiment, in weights/."""
    project = Project(shutil.copytree(finished.folder, tmp_path / "copy"))
    metrics = files.read_json(project.path("results/details.json"))
    content = project.path("models/model.h5").read_bytes()
    project.path("weights").mkdir()
    project.path("weights/small.h5").write_bytes(content)
    record = files.read_json(ROOT / "results/experiments/small.json") | {"data": metrics["data"]}
    record |= {key: metrics["model"][key] for key in ("parameters", "macs")}
    record["weights"] |= {"sha256": hashlib.sha256(content).hexdigest(), "scores": metrics}
    record["weights"] |= {"temperature": metrics["calibrated"]["temperature"]}
    files.write_json(project.path("results/experiments/small.json"), record)
    return project


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
class TestCommand:
    def test_scores_are_found_again_with_other_rounding(self, scored):
        done = scored.stage("verify", TF_ENABLE_ONEDNN_OPTS="0", TF_NUM_INTRAOP_THREADS="1")
        assert [line.partition(": largest difference ")[0] for line in done.stdout.splitlines()] == [
            "weights/small.h5",
            "models/model.h5",
        ]

    def test_what_differs_is_named(self, scored):
        path = scored.path("weights/small.h5")
        model, info = saved.load(path), saved.info(path, 7)
        model.set_weights([w[..., ::-1] for w in model.get_weights()])
        saved.save(model, path, info)
        metrics = files.read_json(scored.path("results/details.json"))
        metrics["test"]["accuracy"] += 0.5
        metrics["kaggle_test"]["loss"] += 1e-3
        metrics["calibrated"]["temperature"] = 0.001
        files.write_json(scored.path("results/details.json"), metrics)
        shutil.copy(scored.path("results/experiments/small.json"), scored.path("results/experiments/gone.json"))
        done = scored.stage("verify", check=False)
        assert done.returncode == 1
        errors = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert f"{scored.path('weights/gone.h5')} is missing; `git checkout` restores it" in errors
        named = {line.partition(" is ")[0] for line in errors}
        assert {f"results/experiments/small.json: {key}" for key in ("sha256", "val.loss", "test.loss")} <= named
        assert {line for line in named if line.startswith("results/details.json")} == {
            "results/details.json: test.accuracy",
            "results/details.json: kaggle_test.loss",
            "results/details.json: val.loss at temperature 0.001",
        }


def test_nothing_to_score_is_an_error(project):
    done = project.stage("verify", check=False)
    assert done.returncode == 1
    assert "has no trained model in weights/ or models/; `dvc repro` trains one" in done.stderr


@pytest.mark.parametrize("record", sorted((ROOT / "results/experiments").glob("*.json")), ids=lambda path: path.stem)
def test_the_committed_weights_are_those_that_were_scored(record):
    facts, scores, temperature = rescore.recorded(json.loads(record.read_text()))
    path = paths.weights(record.stem)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert temperature == saved.info(path, 7).temperature
    assert {"val", "test", "test_clean", "kaggle_test"} <= set(scores)


def test_an_accuracy_may_change_by_the_images_whose_highest_probabilities_rounding_can_swap():
    probabilities = np.array([[0.4, 0.4 + 1e-6, 0.2], [0.4, 0.4 + 1e-4, 0.2], [0.2, 0.2 + 1e-6, 0.6]])
    assert rescore.near_ties(probabilities, 1e-5) == 1
