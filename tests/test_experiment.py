"""An experiment with several seeds: each alone, all together, and test read once for them."""

import hashlib
import json
import statistics

import numpy as np
import pytest

from tests.conftest import Project


@pytest.fixture(scope="module")
def tried(new_project) -> tuple[Project, str, dict]:
    """Return a project in which an experiment was trained with two seeds, what that printed, and its result."""
    project = new_project("tried")
    project.edit("conf/experiment/demo.yaml", "epochs: 6", "epochs: 2")
    done = project.stage("experiment", "demo", "seed=1,2")
    return project, done.stdout, json.loads(project.path("results/experiments/demo.json").read_text())


@pytest.mark.slow
@pytest.mark.xdist_group("tried")
class TestTried:
    def test_the_result_is_the_mean_of_the_seeds_and_that_of_their_mean(self, tried):
        project, printed, result = tried
        assert result["seeds"] == [1, 2]
        jobs = sorted(project.path("multirun").glob("*/*/job.json"))
        each = [json.loads(job.read_text())["val"]["accuracy"] for job in jobs]
        single = result["accuracy"]["single"]["val"]
        assert single["each"] == each
        assert single["mean"] == pytest.approx(statistics.mean(each))
        assert single["deviation"] == pytest.approx(statistics.stdev(each))
        kept = [np.load(job.parent / "results/predictions_val.npz") for job in jobs]
        together = np.mean([k["probabilities"] for k in kept], axis=0).argmax(1) == kept[0]["labels"]
        assert result["accuracy"]["ensemble, single"]["val"]["mean"] == pytest.approx(together.mean())
        assert set(result["accuracy"]) == {"single", "flip TTA", "ensemble, single", "ensemble, flip TTA"}
        assert len(result["accuracy"]["single"]["test"]["each"]) == 2
        assert "single: val" in printed

    def test_the_model_that_is_best_on_val_is_stored_with_its_scores(self, tried):
        project, _, result = tried
        kept, each = result["weights"], result["accuracy"]["single"]["val"]["each"]
        assert kept["seed"] == 1 + each.index(max(each))
        assert kept["scores"]["val"]["accuracy"] == max(each)
        content = project.path("weights/demo.h5").read_bytes()
        jobs = sorted(project.path("multirun").glob("*/*/models/model.h5"))
        assert content == jobs[kept["seed"] - 1].read_bytes()
        assert kept["bytes"] == len(content)
        assert kept["sha256"] == hashlib.sha256(content).hexdigest()

    def test_given_again_it_trains_nothing(self, tried):
        project, _, result = tried
        again = project.stage("experiment", "demo", "seed=1,2").stdout
        assert again.count("already finished") == 2
        assert json.loads(project.path("results/experiments/demo.json").read_text()) == result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no experiment is named", "demo", "sprint"]),
        (["marathon"], ["unknown experiment 'marathon'", "demo"]),
        (["demo", "train.epochs=3"], ["train.epochs=3 would change the experiment", "seed"]),
    ],
)
def test_anything_but_an_experiment_is_refused(project, arguments, words):
    done = project.stage("experiment", *arguments, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words)


def test_the_time_to_an_accuracy_counts_all_epochs_up_to_it():
    from pipeline.experiment.__main__ import seconds_to

    history = [{"seconds": s, "val_accuracy": v} for s, v in [(4.0, 0.3), (2.0, 0.5), (2.0, 0.6)]]
    assert seconds_to(0.5, history) == 6.0
    assert seconds_to(0.7, history) is None
