"""dvc repro, dvc exp run, the DVC queue and Hydra multirun: the same choices give the same configuration."""

import csv
import io
import json
import time

import pytest

from tests.conftest import ROOT, Project, with_dvc

pytestmark = pytest.mark.slow

CHOSEN = {"choices.model": "linear", "train.epochs": "2", "optimizer.learning_rate": "0.01"}
SET = [part for key, value in CHOSEN.items() for part in ("-S", f"{key}={value}")]
OVERRIDES = [f"{key.removeprefix('choices.')}={value}" for key, value in CHOSEN.items()]


def recorded(text: str) -> dict:
    return json.loads(text)["config"]


@pytest.fixture(scope="module")
def project(new_project) -> Project:
    return with_dvc(new_project("ways"), git=True)


@pytest.fixture(scope="module")
def by_repro(new_project) -> dict:
    """Return the configuration that `dvc repro` records with params.yaml edited by `record`."""
    project = with_dvc(new_project("repro"))
    project.stage("use", *OVERRIDES)
    project.repro("train")
    return recorded(project.path("results/run.json").read_text())


def test_what_was_chosen_was_used(by_repro):
    assert by_repro["model"] == {"name": "linear"}
    assert by_repro["train"]["epochs"] == 2
    assert by_repro["optimizer"]["learning_rate"] == 0.01
    assert by_repro["data"]["name"] == "synthetic"


def test_composed_in_python(by_repro, project):
    code = (
        "import json, sys; from pipeline.core.config import compose; print(compose(sys.argv[1:])[0].model_dump_json())"
    )
    composed = json.loads(project.run("python", "-c", code, *OVERRIDES).stdout)
    assert {key: composed[key] for key in by_repro if key != "data"} == {
        k: v for k, v in by_repro.items() if k != "data"
    }


def test_dvc_exp_run_and_the_queue(by_repro, project):
    project.run("dvc", "exp", "run", "--temp", "--name", "direct", *SET)
    project.run("dvc", "exp", "run", "--queue", "--name", "queued", *SET, "-S", "seed=43")
    project.run("dvc", "queue", "start", "-j", "1")
    deadline = time.monotonic() + 300
    while "Success" not in (status := project.run("dvc", "queue", "status").stdout):
        assert "Failed" not in status, project.run("dvc", "queue", "logs", "queued", check=False).stdout
        assert time.monotonic() < deadline, status
        time.sleep(2)
    direct, queued = (recorded(project.run("git", "show", f"{n}:results/run.json").stdout) for n in names(project))
    assert direct == by_repro
    assert queued == {**by_repro, "seed": 43}
    assert project.run("git", "status", "--porcelain", "-uno").stdout == ""
    assert project.path("mlflow.db").exists(), "the runs outlive DVC's temporary folders"
    dvc_shows_the_numbers_that_mlflow_has(project)


def dvc_shows_the_numbers_that_mlflow_has(project: Project) -> None:
    import mlflow

    store = mlflow.MlflowClient(f"sqlite:///{project.path('mlflow.db')}")
    found = store.search_runs([store.get_experiment_by_name("synthetic").experiment_id], "tags.source = 'dvc exp'")
    logged = {run.data.params["seed"]: run.data.metrics["test/loss"] for run in found}
    assert set(logged) == {"42", "43"}
    shown = json.loads(project.run("dvc", "exp", "show", "--json", "--all-commits").stdout)
    by_name = {e["name"]: e["revs"][0]["data"] for revision in shown for e in revision["experiments"] or []}
    for name, seed in (("direct", "42"), ("queued", "43")):
        assert by_name[name]["metrics"]["results/metrics.json"]["data"]["test"]["loss"] == logged[seed]
    changes = json.loads(project.run("dvc", "metrics", "diff", "direct", "queued", "--json").stdout)
    change = changes["results/metrics.json"]["test.loss"]
    assert (change["old"], change["new"]) == (logged["42"], logged["43"])
    made = ("make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "-o", ".venv/ready")
    listed = project.run(*made, "experiments", "ARGS=--csv").stdout
    table = [row for row in csv.DictReader(io.StringIO(listed)) if row["Experiment"] in by_name]
    accuracy = {name: e["metrics"]["results/metrics.json"]["data"]["val"]["accuracy"] for name, e in by_name.items()}
    assert {row["Experiment"]: float(row["val.accuracy"]) for row in table} == accuracy
    assert sorted(accuracy.values(), reverse=True) == [float(row["val.accuracy"]) for row in table]
    assert {row["Experiment"]: row["seed"] for row in table} == {"direct": "42", "queued": "43"}
    assert len(table[0]) < 12
    (plot,) = json.loads(project.run("dvc", "plots", "diff", "direct", "queued", "--json").stdout)["data"]["accuracy"]
    assert set(plot["revisions"]) == {"direct", "queued"}


def names(project: Project) -> list[str]:
    """Return the git refs of the two experiments."""
    refs = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    return [next(ref for ref in refs if ref.endswith(f"/{name}")) for name in ("direct", "queued")]


def test_hydra_multirun(by_repro, project):
    before = {n for n in project.files() if n.startswith(("models/", "results/"))}
    project.stage("train", "-m", *OVERRIDES, "seed=43")
    (one,) = (recorded(p.read_text()) for p in project.path("multirun").glob("*/*/results/run.json"))
    assert one == {**by_repro, "seed": 43}
    assert {n for n in project.files() if n.startswith(("models/", "results/"))} == before
