"""Training from a trained model: files, runs, registered models, other classes, and what is refused."""

import hashlib
import json
import re
import shlex

import pytest

from pipeline.core import config
from pipeline.core.errors import PipelineError
from pipeline.models import build
from pipeline.models.linear import Options
from pipeline.models.seed_cnn import Options as SeedOptions
from pipeline.train.initial import start_from
from tests.conftest import Project, with_dvc


def test_an_output_layer_with_other_classes_is_new_and_other_layers_are_not():
    import numpy as np

    small = {"name": "seed_cnn", "filters": 4, "dense": [8], "dropout": 0.0}
    trained, model = (build(SeedOptions(**small), classes) for classes in (7, 3))
    head = model.get_weights()[-2:]
    start_from(model, trained, same_classes=False)
    for place, (mine, given) in enumerate(zip(model.get_weights()[:-2], trained.get_weights()[:-2], strict=True)):
        np.testing.assert_array_equal(mine, given, err_msg=f"array {place}")
    for mine, given in zip(model.get_weights()[-2:], head, strict=True):
        np.testing.assert_array_equal(mine, given)


def test_another_architecture_is_refused():
    with pytest.raises(PipelineError, match="has 1 layers with 16,135 weights, and the model in training 8 layers"):
        start_from(
            build(SeedOptions(name="seed_cnn", filters=4, dense=[8, 8], dropout=0.0), 7),
            build(Options(name="linear"), 7),
            True,
        )


@pytest.fixture(scope="module")
def trained(new_project) -> tuple[Project, str, str]:
    """Return a project with a trained model, its run's id, and the SHA-256 of its file."""
    project = new_project("initial")
    done = project.stage("train", "-m", "model=linear", "train.epochs=1", "seed=1")
    assert "champion: models:/synthetic@champion" in done.stdout
    (job,) = project.path("multirun").glob("*/*/job.json")
    model = job.parent / "models/model.h5"
    project.path("start.h5").write_bytes(model.read_bytes())
    return project, json.loads(job.read_text())["mlflow_run_id"], hashlib.sha256(model.read_bytes()).hexdigest()


def only_run(project: Project) -> dict:
    """Return the record of the newest single run."""
    newest = max(project.path("outputs").glob("*/*/results/run.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text())


@pytest.mark.slow
@pytest.mark.xdist_group("initial")
class TestTrained:
    @pytest.mark.parametrize("name", ["start.h5", "runs:/RUN/model", "models:/synthetic@champion"])
    def test_a_file_a_run_and_a_registered_model_are_recorded_with_their_sha(self, trained, name):
        project, run, sha = trained
        given = name.replace("RUN", run)
        done = project.stage(
            "train", "model=linear", "train.epochs=1", f"train.init={given}", "optimizer.learning_rate=1e-9"
        )
        assert "starting from" in done.stdout
        record = only_run(project)
        assert record["config"]["train"]["init"] == f"{given}#sha256={sha}"
        (printed,) = re.findall(r"python -m pipeline\.use (.*) && dvc repro", done.stdout)
        assert f"train.init='{given}#sha256={sha}'" in shlex.split(printed)
        config.compose(shlex.split(printed))
        (job,) = project.path("multirun").glob("*/*/job.json")
        before = json.loads(job.read_text())["val"]["accuracy"]
        assert record["val_scores"]["accuracy"] == before  # nothing is learned at this rate

    def test_other_classes_get_a_new_output_layer(self, trained):
        project, _, _ = trained
        arguments = ("data.classes=[happy,sad]", "train.epochs=1", "train.init=start.h5", "model=linear")
        assert "with a new output layer for happy, sad" in project.stage("train", *arguments).stdout

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("train.init=missing.h5", "missing.h5 is missing; accepted for train.init"),
            ("train.init=model.keras", "train.init is 'model.keras'; accepted"),
            ("train.init=models:/nobody@champion", "has no models:/nobody@champion"),
            ("train.init='start.h5#sha256=" + "0" * 64 + "'", "train.init names another model"),
            ("train.freeze=1", "freeze is 1 and init null; accepted: 0"),
        ],
    )
    def test_what_cannot_be_a_start_is_refused_in_one_line(self, trained, setting, words):
        project, _, _ = trained
        done = project.stage("train", "model=linear", "train.epochs=1", setting, check=False)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr

    def test_dvc_wants_the_sha_and_the_message_has_it(self, trained):
        project, _, sha = trained
        with_dvc(project)
        project.stage("use", "model=linear", "train.epochs=1", "train.init=start.h5")
        done = project.run("dvc", "repro", "train", check=False)
        assert done.returncode != 0
        (accepted,) = re.findall(r"accepted: (start\.h5#sha256=[0-9a-f]{64})", done.stdout + done.stderr)
        assert accepted == f"start.h5#sha256={sha}"
        project.edit("params.yaml", "init: start.h5", f"init: {accepted}")
        project.run("dvc", "repro", "train")
        assert json.loads(project.path("results/run.json").read_text())["config"]["train"]["init"] == accepted
