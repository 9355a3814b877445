"""The four stages through DVC, on a few synthetic faces."""

import hashlib
import json
import shutil

import pytest

from tests.conftest import ROOT, Project, with_dvc
from tests.interrupt import Breakpoint

pytestmark = pytest.mark.slow

STAGES = ("download", "preprocess", "train", "evaluate")


def client(project: Project):
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{project.path('mlflow.db')}")


def runs(project: Project) -> list:
    store = client(project)
    return store.search_runs([store.get_experiment_by_name("synthetic").experiment_id])


def ran(printed: str) -> list[str]:
    return [stage for stage in STAGES if f"Running stage '{stage}'" in printed]


@pytest.mark.xdist_group("finished")
class TestFinished:
    """What a finished `dvc repro` leaves behind."""

    def test_nothing_is_left_to_do(self, finished):
        done = finished.repro()
        assert ran(done.stdout) == []
        assert "up to date" in done.stdout

    def test_metrics_name_the_data_and_carry_intervals(self, finished):
        metrics = json.loads(finished.path("results/details.json").read_text())
        audit = json.loads(finished.path("results/audit.json").read_text())
        assert metrics["data"] == audit["data"]
        assert metrics["data"]["name"] == "synthetic"
        assert [metrics[name]["images"] for name in ("val", "test", "kaggle_test")] == [14, 14, 28]
        for name in ("val", "test", "test_clean", "kaggle_test"):
            assert metrics[name]["accuracy_low"] <= metrics[name]["accuracy"] <= metrics[name]["accuracy_high"]
        assert metrics["inspection"]["images"] == 7

    def test_every_out_is_there_and_nothing_half_written(self, finished):
        files = finished.files()
        assert {"models/model.h5", "results/history.csv", "results/run.json", "results/report.html"} <= files
        pictures = ["samples", "balance", "curves", "confusion", "emotions", "calibration"]
        pictures += ["inspection", "mistakes", "explanations"]
        assert {f"results/{name}.png" for name in pictures} <= files
        assert not [name for name in files if "partial" in name or name.endswith(".part")]
        assert not list(finished.path("outputs/checkpoints").glob("*/state.npz"))

    def test_the_run_in_mlflow_is_complete(self, finished):
        (run,) = runs(finished)
        store = client(finished)
        assert run.info.status == "FINISHED"
        assert run.data.params["optimizer.learning_rate"] == "0.001"
        assert run.data.params["model.filters"] == "4"
        assert run.data.tags["source"] == "dvc repro"
        assert run.data.tags["data"] == "synthetic"
        assert len(run.data.tags["data_digest"]) == 64
        metrics = json.loads(finished.path("results/details.json").read_text())
        assert run.data.metrics["test/accuracy"] == metrics["test"]["accuracy"]
        assert run.data.metrics["val/accuracy"] == metrics["val"]["accuracy"]
        assert [m.step for m in store.get_metric_history(run.info.run_id, "val/epoch_accuracy")] == [1, 2, 3]
        assert len(run.data.metrics) == 23
        assert {name.split("/")[0] for name in run.data.metrics} == {"train", "val", "test", "model"}
        with open(store.download_artifacts(run.info.run_id, "per_class/test.json")) as file:
            table = json.load(file)
        assert table["columns"] == ["class", "precision", "recall", "f1", "images"]
        assert [row[0] for row in table["data"]] == ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
        f1 = [each["f1"] for each in metrics["test"]["emotions"].values()]
        assert [row[3] for row in table["data"]] == pytest.approx(f1)  # MLflow writes ten digits
        names = {a.path for a in store.list_artifacts(run.info.run_id)}
        assert {"model.h5", "report.html", "history.csv", "figures"} <= names
        assert "figures/curves.png" in {a.path for a in store.list_artifacts(run.info.run_id, "figures")}

    def test_its_model_is_the_champion_by_its_accuracy_on_val(self, finished):
        (run,) = runs(finished)
        version = client(finished).get_model_version_by_alias("synthetic", "champion")
        assert version.run_id == run.info.run_id
        assert float(version.tags["val_accuracy"]) == run.data.metrics["val/accuracy"]

    def test_dvc_shows_the_metrics_and_plots(self, finished):
        shown = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)
        assert "accuracy" in shown[""]["data"]["results/metrics.json"]["data"]["test"]
        assert "val_accuracy" in finished.run("dvc", "plots", "show", "--show-vega", "accuracy").stdout


REPRO = ("sh", str(ROOT / "scripts/repro.sh"))  # what `make run` runs


@pytest.fixture
def changed(finished, tmp_path) -> Project:
    """Return a copy of the finished project, to be changed."""
    return Project(shutil.copytree(finished.folder, tmp_path / "copy"))


@pytest.mark.xdist_group("finished")
def test_dvcs_lock_left_empty_by_a_kill_stops_no_further_start(changed):
    changed.path(".dvc/tmp/rwlock").write_text("")
    assert "RWLock-file '.dvc/tmp/rwlock'" in changed.repro(check=False).stderr  # DVC alone
    assert "up to date" in changed.run(*REPRO).stdout


@pytest.mark.xdist_group("finished")
def test_make_run_ends_at_a_mistake_before_dvc_removes_anything(changed):
    before = changed.files()
    changed.edit("params.yaml", r"epochs: \d+", "epochs: 0")
    done = changed.run(*REPRO, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: configuration: train.epochs is 0; accepted: greater than or equal to 1\n"
    assert changed.files() >= before


@pytest.mark.xdist_group("finished")
def test_a_change_runs_the_stages_that_read_it_and_no_other(changed):
    project = changed
    project.edit("conf/model/linear.yaml", "^# .*", "# An option that is not chosen.")
    project.edit("conf/augment/none.yaml", "zoom: 0.0", "zoom: 0.5")
    assert ran(project.repro().stdout) == []
    project.edit("params.yaml", "inspect: 7", "inspect: 5")
    digest = hashlib.sha256(project.path("models/model.h5").read_bytes()).hexdigest()
    project.edit("params.yaml", "ensemble: {}", f"ensemble: {{models/model.h5: {digest}}}")
    assert ran(project.repro().stdout) == ["evaluate"]
    scores = json.loads(project.path("results/details.json").read_text())
    alone = {split: scores[split] for split in scores["ensemble"]}
    assert (scores["ensemble"], scores["ensemble_flip_tta"]) == (alone, scores["flip_tta"])  # with itself
    assert ran(project.run("dvc", "repro", "--dry").stdout) == []
    project.edit("params.yaml", "learning_rate: 0.001", "learning_rate: 0.01")
    assert ran(project.run("dvc", "repro", "--dry").stdout) == ["train"]
    project.edit("params.yaml", "learning_rate: 0.01", "learning_rate: 0.001")
    project.edit("params.yaml", "tracking: local", "tracking: server")
    assert ran(project.run("dvc", "repro", "--dry").stdout) == []


@pytest.mark.xdist_group("finished")
def test_what_changes_no_output_runs_no_stage(changed):
    core = ("redact", "locks", "progress", "command", "stage", "config", "schema", "provenance")
    others = ("tracking/tracker", "train/record", "sweep/sweep", "compare/__main__", "models/vgg")
    for name in (*(f"core/{name}" for name in core), *others):
        with open(changed.path(f"pipeline/{name}.py"), "a") as module:
            module.write("\n\nCHANGED = 1\n")
    for name in ("pipeline/models/mine.py", "conf/model/mine.yaml", "conf/experiment/mine.yaml"):
        changed.path(name).write_text("# New.\n")
    changed.path("pipeline/mine").mkdir()
    changed.path("pipeline/mine/__main__.py").write_text("# A command.\n")
    changed.edit("conf/model/seed_cnn.yaml", "^dropout: 0.2", "# A comment.\ndropout: 0.2")
    assert ran(changed.repro("--dry").stdout) == []
    changed.edit("conf/data/synthetic.yaml", "archive: null", "archive: elsewhere.zip")
    assert ran(changed.repro().stdout) == ["download"]


@pytest.mark.xdist_group("finished")
@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *(("download/synthetic", "download"), ("preprocess/audit", "preprocess"), ("plots/dataset", "preprocess")),
        *(("train/loop", "train"), ("models/seed_cnn", "train"), ("data/augment", "train")),
        *(("evaluate/report", "evaluate"), ("plots/inspection", "evaluate"), ("metrics/gradcam", "evaluate")),
    ],
)
def test_what_decides_an_output_runs_its_stage(changed, name, stage):
    with open(changed.path(f"pipeline/{name}.py"), "a") as module:
        module.write("\n\nCHANGED = 1\n")
    assert ran(changed.repro("--dry").stdout)[0] == stage


def test_switching_the_data_back_and_forth_computes_nothing_again(project):
    with_dvc(project)
    other = project.path("conf/data/synthetic.yaml").read_text().replace("name: synthetic", "name: others")
    project.path("conf/data/others.yaml").write_text(other.replace("synthetic_seed: 2013", "synthetic_seed: 2014"))
    project.repro("preprocess")
    first = project.path("results/audit.json").read_text()
    project.edit("params.yaml", "data: synthetic", "data: others")
    assert ran(project.repro("preprocess").stdout) == ["download", "preprocess"]
    assert project.path("results/audit.json").read_text() != first
    project.edit("params.yaml", "data: others", "data: synthetic")
    assert ran(project.repro("preprocess").stdout) == []
    assert project.path("results/audit.json").read_text() == first
    assert project.path("data/arrays/others/train.npy").exists()


def test_a_second_trainer_is_refused_while_one_runs(project):
    for stage in ("download", "preprocess"):
        project.stage(stage)
    running = Breakpoint(project, epoch=1)
    first = project.start("python", "-m", "pipeline.train", real=False)
    try:
        pid = running.wait(first)
        done = project.stage("train", check=False)
    finally:
        first.kill()
        first.wait()
    assert done.returncode == 1
    assert f"process {pid} already runs a training" in done.stderr


@pytest.mark.xdist_group("finished")
def test_a_model_of_other_data_is_not_evaluated(changed):
    project, before = changed, changed.path("results/details.json").read_text()
    project.edit("conf/data/synthetic.yaml", "synthetic_seed: 2013", "synthetic_seed: 1")
    for stage in ("download", "preprocess"):
        project.stage(stage)
    done = project.stage("evaluate", check=False)
    assert done.returncode == 1
    assert "other images" in done.stderr
    assert project.path("results/details.json").read_text() == before
