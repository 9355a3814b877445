"""Ablations: an experiment with and without each technique, compared seed by seed."""

import json

import pytest

ABLATION = """
overrides: [experiment=demo, train.epochs=1, model=linear]
seeds: [1, 2]
without:
  horizontal flip: [augment=none]
added:
  label smoothing: [train.label_smoothing=0.2]
"""


@pytest.mark.slow
def test_each_technique_is_compared_with_the_experiment_seed_by_seed(project):
    project.path("conf/ablation/demo.yaml").write_text(ABLATION)
    project.stage("ablation", "demo")
    result = json.loads(project.path("results/ablations/demo.json").read_text())
    found = {}
    for job in project.path("multirun").glob("*/*/job.json"):
        run = json.loads((job.parent / "results/run.json").read_text())["config"]
        key = (run["augment"]["flip"], run["train"]["label_smoothing"], run["seed"])
        found[key] = json.loads(job.read_text())["val"]["accuracy"]
    assert len(found) == 6
    without, added = result["techniques"]
    experiment = [found[True, 0.0, seed] for seed in (1, 2)]
    assert result["experiment"] == experiment
    assert without["gains"] == [experiment[i] - found[False, 0.0, i + 1] for i in range(2)]
    assert added["gains"] == [found[True, 0.2, i + 1] - experiment[i] for i in range(2)]
    assert without["with"] == added["without"] == sum(experiment) / 2


@pytest.mark.parametrize(
    ("arguments", "content", "words"),
    [
        (["marathon"], None, ["unknown ablation 'marathon'", "sprint"]),
        (["sprint", "train.epochs=3"], None, ["train.epochs=3 would change the experiment", "tracking"]),
        (["bad"], ABLATION.replace("[1, 2]", "[1]"), ["conf/ablation/bad.yaml", "seeds", "at least 2 items"]),
        (["bad"], ABLATION.replace("label_smoothing=0.2", "smoothing=0.2"), ["smoothing"]),
    ],
)
def test_a_mistake_ends_before_any_work(project, arguments, content, words):
    if content:
        project.path("conf/ablation/bad.yaml").write_text(content)
    done = project.stage("ablation", *arguments, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words)
    assert not project.path("multirun").exists()
