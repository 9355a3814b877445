"""What users of Hydra type first: it works, or the answer names what does."""

import subprocess

import pytest
import yaml

from tests.test_sweep import runs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-m hydra/sweeper=optuna seed=1,2", "`python -m pipeline.search NAME` searches with Optuna"),
        ("-m optimizer.learning_rate=interval(1e-4,1e-3)", "`python -m pipeline.search` tries values of intervals"),
        ("--experimental-rerun config.pickle", "runs are repeated by `git checkout` and `dvc repro`"),
        (
            "--experiment best",
            "unknown option --experiment; accepted: overrides without dashes, such as experiment=best",
        ),
        ("optimizer.lr=0.1 --cfg job", "unknown key 'optimizer.lr'; accepted: name, learning_rate"),
        ("train.epochs=1e20 --cfg job", "train.epochs is 1e+20; accepted: a valid integer"),
        ("--config-name other", "Cannot find primary config 'other'"),
        ("-m seed=1,2 sweep=a/b", "sweep=a/b; accepted: a name of letters, digits"),
        ("-m seed=1,2 --info", "a sweep is `python -m pipeline.train -m OVERRIDES`, without other flags"),
    ],
)
def test_what_does_not_work_is_answered_with_what_does(project, arguments, line):
    before = project.files()
    done = project.stage("train", *arguments.split(), check=False)
    assert done.returncode == 1
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert project.files() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("experiment=sprint --cfg job", {"model": "patch_cnn"}),
        ("+experiment=sprint --cfg job", {"model": "patch_cnn"}),
        ("+model=linear --cfg job --resolve", {"model": "linear"}),
        ("--config-name config model=linear --cfg job", {"model": "linear"}),
        ("experiment=sprint --cfg job model=linear", {"model": "linear"}),
        ("--package model --cfg job", None),
        ("--info defaults", None),
    ],
)
def test_flags_show_the_configuration(project, arguments, expected):
    printed = project.stage("train", *arguments.split()).stdout
    assert printed.strip()
    if expected:
        assert yaml.safe_load(printed)["model"]["name"] == expected["model"]


def test_a_sweep_shows_the_configuration_of_each_job(project):
    printed = project.stage("train", "-m", "model=glob(*)", "seed=choice(1,2)", "--cfg", "job").stdout
    configurations = list(yaml.safe_load_all(printed.replace("# model=", "---\n# model=")))
    models = {path.stem for path in project.path("conf/model").glob("*.yaml")}
    assert {cfg["model"]["name"] for cfg in configurations} == models
    assert [cfg["seed"] for cfg in configurations] == [1, 2] * len(models)


def test_a_sweep_has_the_name_it_is_given_on_disk_and_in_mlflow(project):
    project.stage("train", "-m", "model=linear", "seed=range(1,3)", "sweep=two_seeds")
    (folder,) = project.path("multirun").iterdir()
    assert "-two_seeds-" in folder.name
    (parent,) = (run for run in runs(project) if "mlflow.parentRunId" not in run.data.tags)
    assert parent.info.run_name == "two_seeds"
    assert "already finished" in project.stage("train", "-m", "model=linear", "seed=1,2").stdout, (
        "a name decides nothing"
    )


def test_accuracies_on_other_classes_are_not_ranked_together(project):
    printed = project.stage("train", "-m", "model=linear", "data.classes=[happy,sad],[angry,fear,sad]").stdout
    lines = printed.splitlines()
    headings = [line for line in lines if line.startswith("synthetic (")]
    assert [heading.partition(": ")[2] for heading in headings] == ["happy, sad", "angry, fear, sad"]
    assert len([line for line in lines if line.startswith("| 1 ")]) == 2
    assert not [line for line in lines if line.startswith("| 2 ")]


def test_a_model_of_one_class_is_called_that_and_is_no_champion(project):
    """With one epoch, the small network of these tests predicts one class for every image."""
    printed = project.stage("train", "-m", "seed=42,43").stdout
    assert printed.count("warning: the model predicts ") == 2
    assert "one configuration (predicts one class: " in printed
    assert "not registered: the model predicts " in printed
    assert "champion" not in printed


def test_bash_completes_options_and_keys(project):
    script = project.stage("train", "-sc", "install=bash").stdout
    for word, expected in (("model=li", "model=linear"), ("train.ep", "train.epochs=")):
        typed = f"python -m pipeline.train {word}"
        complete = (
            f"{script}\nCOMP_LINE='{typed}'; COMP_WORDS=({typed}); COMP_CWORD=3\n_complete_train; echo $COMPREPLY"
        )
        done = subprocess.run(
            ["bash", "-c", complete], cwd=project.folder, env=project.environment(), capture_output=True, text=True
        )
        assert done.stdout.strip() == expected
