"""Runs and models of another MLflow store are copied: nothing is lost, nothing is there twice."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.merge.__main__ import main
from tests import stores
from tests.conftest import tracking_server
from tests.stores import dump, epochs, files, register, train

checkout, empty = stores.checkout, stores.empty
WRITES = (
    "create_run",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "log_batch",
    "log_outputs",
)
WRITES += ("log_artifacts", "set_terminated", "create_registered_model", "create_model_version")


@pytest.fixture
def merge(checkout, monkeypatch, capsys):
    """Return the function that merges a source into the checkout of a name and returns the lines it printed."""

    def merged(source: object, into: str = "ours", server: str | None = None) -> list[str]:
        checkout(into, "fer2013")  # as the command does
        if server:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
        monkeypatch.setattr(sys, "argv", ["merge", str(source), *(["--tracking", "server"] if server else [])])
        capsys.readouterr()
        main()
        return capsys.readouterr().out.splitlines()

    return merged


def content(client) -> dict:
    """Return all that the runs of a store hold, by name, and names instead of ids."""
    found = [client.search_runs([experiment.experiment_id]) for experiment in client.search_experiments()]
    runs = {run.info.run_id: client.get_run(run.info.run_id) for some in found for run in some}
    names = {run_id: run.info.run_name for run_id, run in runs.items()}

    def of_model(output) -> list:
        model = client.get_logged_model(output.model_id)
        metrics = [(m.key, m.value, m.step, names[m.run_id]) for m in model.metrics or ()]
        listed = [f.path for f in client.list_logged_model_artifacts(model.model_id)]
        return [model.name, model.params, model.status, output.step, names[model.source_run_id], metrics, listed]

    return {
        run.info.run_name: {
            "experiment": client.get_experiment(run.info.experiment_id).name,
            "info": (run.info.status, run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": {k: names.get(v, v) for k, v in run.data.tags.items() if not k.startswith("pipeline.")},
            "metrics": {
                key: [(m.value, m.step, m.timestamp) for m in client.get_metric_history(run_id, key)]
                for key in run.data.metrics
            },
            "data": [(i.dataset.name, i.tags[0].value) for i in run.inputs.dataset_inputs],
            "files": [f.path for f in client.list_artifacts(run_id, "figures")],
            "models": [of_model(output) for output in run.outputs.model_outputs],
        }
        for run_id, run in runs.items()
    }


def test_a_run_comes_whole_and_once_and_the_other_store_is_only_read(checkout, merge, tmp_path):
    from mlflow.entities import Metric

    train(checkout("ours"), "ours", tmp_path)
    other = checkout("theirs", "digits")
    sweep = other.create("sweep", {f"p{i}": i for i in range(150)}, {})
    job = other.create("job", {}, {"error": "diverged"}, parent=sweep)
    other.epochs.log(job, epochs(200))  # 1,200 points: more than MLflow takes at once
    other.client.set_terminated(job, "FAILED")
    other.client.set_terminated(sweep)
    run_id, model = train(checkout("theirs"), "theirs", tmp_path)
    other.client.log_batch(run_id, [Metric("ece", 0.1, 7, 3, model_id=model)])
    (tmp_path / "MLmodel").write_text(f"{model} {run_id}")
    other.client.log_model_artifact(model, str(tmp_path / "MLmodel"))
    wanted, before = content(other.client), files(tmp_path / "theirs/mlruns")
    assert merge(tmp_path / "theirs") == ["3 runs copied, 0 already here"]
    assert files(tmp_path / "theirs/mlruns") == before
    shutil.move(tmp_path / "theirs", tmp_path / "away")
    ours = checkout("ours").client
    here = content(ours)
    assert {name: here[name] for name in wanted} == wanted
    assert len(here) == 4
    copy = ours.search_runs([ours.get_experiment_by_name("faces").experiment_id], "run_name = 'theirs'")[0]
    new = copy.outputs.model_outputs[0].model_id
    described = Path(ours.get_logged_model(new).artifact_location.removeprefix("file://"), "MLmodel")
    assert described.read_text() == f"{new} {copy.info.run_id}"
    rows = dump(tmp_path / "ours/mlruns")
    assert merge(tmp_path / "away/mlruns") == ["0 runs copied, 3 already here"]
    assert merge(tmp_path / "ours", "away") == ["1 runs copied, 3 already here"]
    assert merge(f"sqlite:///{tmp_path}/away/mlruns/mlflow.db") == ["0 runs copied, 4 already here"]
    assert dump(tmp_path / "ours/mlruns") == rows


def test_versions_and_aliases_here_stay_and_the_others_take_the_next_number(checkout, merge, tmp_path):
    for name, aliases in {"ours": ["champion"], "theirs": ["champion", "small"]}.items():
        tracker = checkout(name)
        run_id, model = train(tracker, name, tmp_path)
        register(tracker, model, *aliases)
        tracker.client.set_model_version_tag("seed", "1", "training", run_id)
        uri = tracker.client.get_run(run_id).info.artifact_uri
        tracker.client.create_model_version("seed", f"{uri}/figures", run_id)  # as MLflow 2 registers
        tracker.client.create_model_version("seed", "file:///elsewhere")
    kept = "alias champion of model seed stays with version 1; there version 4 has it"
    elsewhere = "version 3 of model seed is not copied: file:///elsewhere is of no run that was copied"
    moved = [f"version {there} of model seed there is version {there + 3} here" for there in (1, 2)]
    assert merge(tmp_path / "theirs") == ["1 runs copied, 0 already here", *moved, elsewhere, kept]
    assert merge(tmp_path / "theirs") == ["0 runs copied, 1 already here", elsewhere, kept]
    client = checkout("ours").client
    versions = {v.version: v for v in client.search_model_versions("name = 'seed'")}
    assert sorted(versions) == [1, 2, 3, 4, 5]
    assert client.get_registered_model("seed").aliases == {"champion": 1, "small": 4}
    run = client.get_run(versions[4].run_id)
    assert (run.info.run_name, versions[4].tags["training"]) == ("theirs", run.info.run_id)
    assert versions[4].source == f"models:/{run.outputs.model_outputs[0].model_id}"
    assert '"version": 4' in client.get_logged_model(versions[4].source[8:]).tags["mlflow.modelVersions"]
    assert versions[5].source == f"{run.info.artifact_uri}/figures"
    assert len(merge(tmp_path / "ours", "theirs")) == 5
    assert merge(tmp_path / "theirs")[0] == "0 runs copied, 2 already here"
    assert len(checkout("ours").client.search_model_versions("name = 'seed'")) == 5


def test_a_merge_that_is_ended_after_any_write_is_completed(checkout, merge, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    other = checkout("theirs")
    register(other, train(other, "theirs", tmp_path)[1], "champion")
    wanted = content(other.client)

    for name in WRITES:
        real = getattr(MlflowClient, name)

        def ended(*arguments, real=real, **options):
            real(*arguments, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, name, ended)
            with pytest.raises(SystemExit):
                merge(tmp_path / "theirs")
    merge(tmp_path / "theirs")
    client = checkout("ours").client
    assert content(client) == wanted
    assert len(client.search_logged_models([client.get_experiment_by_name("faces").experiment_id])) == 1
    assert client.get_model_version_by_alias("seed", "champion").version == 1


def test_a_run_that_goes_on_there_is_completed_when_it_has_ended(checkout, merge, tmp_path):
    other = checkout("theirs")
    run_id = other.create("long", {}, {"error": "of the first start"})
    (tmp_path / "long.txt").write_text("log")
    other.log_files(run_id, [tmp_path / "long.txt"], "figures")
    other.epochs.log(run_id, epochs(1))
    later = "1 still RUNNING there: the same command completes them later"
    assert merge(tmp_path / "theirs") == [f"0 runs copied, 0 already here, {later}"]
    assert content(checkout("ours").client)["long"]["info"][0] == "RUNNING"
    other = checkout("theirs")
    with other.active(run_id):
        other.epochs.log(run_id, epochs(3))
    assert merge(tmp_path / "theirs") == ["1 runs copied, 0 already here"]
    assert content(checkout("ours").client) == content(checkout("theirs").client)
    assert merge(tmp_path / "theirs") == ["0 runs copied, 1 already here"]


def older(mlruns: Path) -> None:
    """Give the store the schema before the last."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{mlruns / 'mlflow.db'}")
    with engine.begin() as connection:
        settings = _get_alembic_config(str(engine.url))
        settings.attributes["connection"] = connection
        command.downgrade(settings, "-1")


def killed(mlruns: Path) -> None:
    """Leave the store as a writer that is killed in a transaction leaves it."""
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN');"
        '[db.execute("UPDATE tags SET value = ?", (str(n) * 5000,)) for n in range(9)];'
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(mlruns / "mlflow.db")], check=False)
    assert (mlruns / "mlflow.db-journal").stat().st_size > 0


@pytest.mark.parametrize("state", [older, killed])
def test_an_older_store_and_one_whose_writer_was_killed_are_read_and_not_mended(checkout, merge, tmp_path, state):
    other = checkout("theirs")
    train(other, "theirs", tmp_path)
    wanted = content(other.client)
    moved = tmp_path / '50%41 of it\'s "data"/elsewhere'
    state(tmp_path / "theirs/mlruns")
    shutil.move(tmp_path / "theirs/mlruns", moved)
    before = files(moved)
    (moved / "artifacts").rename(tmp_path / "artifacts")
    assert merge(moved) == [
        "0 runs copied, 0 already here",
        f"1 runs of faces are not copied: {moved}/artifacts is missing",
    ]
    (tmp_path / "artifacts").rename(moved / "artifacts")
    assert merge(moved) == ["1 runs copied, 0 already here"]
    assert files(moved) == before
    assert content(checkout("ours").client) == wanted


def newer(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fffffffffffe'")


def no_mlflow(database: Path) -> None:
    database.unlink()
    sqlite3.connect(database).execute("CREATE TABLE runs (id)").connection.close()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (newer, "if a newer MLflow wrote it"),
        (no_mlflow, "is no database of MLflow's"),
        (lambda database: database.write_bytes(b"no database" * 1000), "file is not a database"),
        (lambda database: database.write_bytes(database.read_bytes()[:50_000]), "malformed"),
        (Path.unlink, "is no MLflow store; accepted: "),
    ],
)
def test_what_cannot_be_merged_is_an_error_of_one_line_and_changes_nothing(checkout, merge, tmp_path, harm, message):
    train(checkout("theirs"), "theirs", tmp_path)
    harm(tmp_path / "theirs/mlruns/mlflow.db")
    checkout("ours", "fer2013")
    rows = dump(tmp_path / "ours/mlruns")
    with pytest.raises(SystemExit, match=message) as ended:
        merge(tmp_path / "theirs")
    assert "\n" not in ended.value.code
    assert dump(tmp_path / "ours/mlruns") == rows


@pytest.mark.slow
def test_a_checkout_is_copied_to_a_server_and_from_there_to_another(checkout, merge, tmp_path):
    other = checkout("theirs")
    register(other, train(other, "theirs", tmp_path)[1], "champion")
    wanted = content(other.client)
    with tracking_server(tmp_path) as address:
        for first in ("1 runs copied, 0 already here", "0 runs copied, 1 already here"):
            assert merge(tmp_path / "theirs", server=address) == [first]
        assert merge(address) == ["1 runs copied, 0 already here"]
        assert merge(address, "theirs") == ["0 runs copied, 1 already here"]
    client = checkout("ours").client
    assert content(client) == wanted
    assert client.get_model_version_by_alias("seed", "champion").version == 1
