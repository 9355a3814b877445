"""Runs and models of another MLflow store are copied: nothing is lost, nothing is there twice."""

import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from pipeline.merge.__main__ import main
from tests import stores
from tests.conftest import tracking_server
from tests.stores import dump, epochs, files, register, train

pytestmark = pytest.mark.slow

checkout, empty = stores.checkout, stores.empty
WRITES = ("create_run", "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_batch")
WRITES += ("log_outputs", "log_artifacts", "set_terminated", "create_registered_model", "create_model_version")


@pytest.fixture
def merge(checkout, monkeypatch, capsys):
    """Return the function that merges a source into a checkout, or `server`, and returns the lines it printed."""

    def merged(source: object, into: str = "ours", server: str | None = None) -> list[str]:
        checkout(into, "fer2013")  # as the command does
        if server:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
        monkeypatch.setattr(sys, "argv", ["merge", str(source), *(["--tracking", "server"] if server else [])])
        capsys.readouterr()
        main()
        printed = capsys.readouterr().out.splitlines()
        return [line for line in printed if not line.startswith("copying")]  # progress, on a slow machine

    return merged


@pytest.fixture
def theirs(checkout, tmp_path):
    """Return the mlruns of a checkout with the run `theirs`, its registered model, and what the run holds."""
    other = checkout("theirs")
    register(other, train(other, "theirs", tmp_path)[1], "champion")
    return tmp_path / "theirs/mlruns", content(other.client)


def content(client) -> dict[str, list]:
    """Return what the runs of a store hold, by their names, with names for ids."""
    found = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])]
    names = {run.info.run_id: run.info.run_name for run in found}
    runs = {}
    for info, run in ((run.info, client.get_run(run.info.run_id)) for run in found):
        models = [client.get_logged_model(output.model_id) for output in run.outputs.model_outputs]
        histories = {key: client.get_metric_history(info.run_id, key) for key in run.data.metrics}
        runs[info.run_name] = [
            (client.get_experiment(info.experiment_id).name, info.status, info.start_time, info.end_time),
            run.data.params,
            {key: names.get(value, value) for key, value in run.data.tags.items() if not key.startswith("pipeline.")},
            {key: [(m.value, m.step, m.timestamp) for m in history] for key, history in histories.items()},
            [(i.dataset.name, i.tags[0].value) for i in run.inputs.dataset_inputs],
            [file.path for file in client.list_artifacts(info.run_id, "figures")],
            [(m.name, m.params, m.status, names[m.source_run_id]) for m in models],
            [[(metric.key, metric.value, metric.step) for metric in m.metrics or ()] for m in models],
            [[file.path for file in client.list_logged_model_artifacts(m.model_id)] for m in models],
        ]
    return runs


def test_runs_come_whole_and_once_and_the_other_store_is_only_read(checkout, merge, tmp_path):
    from mlflow.entities import Metric

    train(checkout("ours"), "ours", tmp_path)
    other = checkout("theirs", "digits")
    parent = other.create("parent", {f"p{i}": i for i in range(150)}, {})
    child = other.create("child", {}, {"error": "diverged"}, parent)
    other.epochs.log(child, epochs(200))  # 1,200 points: more than MLflow takes at once
    other.client.set_terminated(child, "FAILED")
    other.client.set_terminated(parent)
    run_id, model = train(checkout("theirs"), "theirs", tmp_path)
    other.client.log_batch(run_id, [Metric("ece", 0.1, 7, 3, model)])
    (tmp_path / "MLmodel").write_text(f"{model} {run_id}")
    other.client.log_model_artifact(model, str(tmp_path / "MLmodel"))
    wanted, before = content(other.client), files(tmp_path / "theirs/mlruns")
    assert merge(tmp_path / "theirs") == ["3 runs copied, 0 already here"]
    assert files(tmp_path / "theirs/mlruns") == before
    shutil.move(tmp_path / "theirs", tmp_path / "away")
    tracker = checkout("ours")
    here = content(tracker.client)
    assert len(here) == 4
    assert {name: here[name] for name in wanted} == wanted
    (copy,) = tracker.client.search_runs([tracker.experiment_id], "run_name = 'theirs'")
    (new,) = (output.model_id for output in copy.outputs.model_outputs)
    location = tracker.client.get_logged_model(new).artifact_location
    assert Path(location.removeprefix("file://"), "MLmodel").read_text() == f"{new} {copy.info.run_id}"
    rows = dump(tmp_path / "ours/mlruns")
    assert merge(tmp_path / "away/mlruns") == ["0 runs copied, 3 already here"]
    assert merge(tmp_path / "ours", "away") == ["1 runs copied, 3 already here"]
    assert merge(f"sqlite:///{tmp_path}/away/mlruns/mlflow.db") == ["0 runs copied, 4 already here"]
    assert dump(tmp_path / "ours/mlruns") == rows


def test_versions_and_aliases_here_stay_and_theirs_take_the_next_number(checkout, merge, tmp_path):
    for name, aliases in {"ours": ["champion"], "theirs": ["champion", "small"]}.items():
        tracker = checkout(name)
        run_id, model = train(tracker, name, tmp_path)
        register(tracker, model, *aliases)
        tracker.client.set_model_version_tag("seed", "1", "training", run_id)
        uri = tracker.client.get_run(run_id).info.artifact_uri
        tracker.client.create_model_version("seed", f"{uri}/figures", run_id)  # as MLflow 2 registers
        tracker.client.create_model_version("seed", "file:///elsewhere")
    moved = [f"version {there} of model seed there is version {there + 3} here" for there in (1, 2)]
    kept = [
        "version 3 of model seed is not copied: no copied run has file:///elsewhere",
        "alias champion of model seed stays with version 1; there version 4 has it",
    ]
    assert merge(tmp_path / "theirs") == ["1 runs copied, 0 already here", *moved, *kept]
    assert merge(tmp_path / "theirs") == ["0 runs copied, 1 already here", *kept]
    client = checkout("ours").client
    versions = {v.version: v for v in client.search_model_versions("name = 'seed'")}
    assert sorted(versions) == [1, 2, 3, 4, 5]
    assert client.get_registered_model("seed").aliases == {"champion": 1, "small": 4}
    run = client.get_run(versions[4].run_id)
    assert (run.info.run_name, versions[4].tags["training"]) == ("theirs", run.info.run_id)
    assert versions[4].source == f"models:/{run.outputs.model_outputs[0].model_id}"
    assert versions[5].source == f"{run.info.artifact_uri}/figures"
    assert register(checkout("ours"), run.outputs.model_outputs[0].model_id) == 6  # of the copy
    assert len(merge(tmp_path / "ours", "theirs")) == 5
    assert checkout("theirs").client.get_model_version("seed", "6").source == f"models:/{model}"
    assert merge(tmp_path / "theirs")[:2] == ["0 runs copied, 2 already here", kept[0]]
    assert len(checkout("ours").client.search_model_versions("name = 'seed'")) == 6


def test_a_merge_that_ends_after_any_write_is_completed_by_the_next(checkout, merge, theirs, monkeypatch):
    from mlflow import MlflowClient

    for name in WRITES:
        real = getattr(MlflowClient, name)

        def ended(*arguments, real=real, **options):
            real(*arguments, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, name, ended)
            with pytest.raises(SystemExit):
                merge(theirs[0])
    merge(theirs[0])
    tracker = checkout("ours")
    assert content(tracker.client) == theirs[1]
    assert len(tracker.client.search_logged_models([tracker.experiment_id])) == 1
    assert tracker.client.get_model_version_by_alias("seed", "champion").version == 1


def test_a_run_that_is_running_there_is_completed_when_it_has_ended_and_stays_deleted(checkout, merge, tmp_path):
    other = checkout("theirs")
    run_id = other.create("long", {}, {"error": "of the first start"})
    (tmp_path / "long.txt").write_text("log")
    other.log_files(run_id, [tmp_path / "long.txt"], "figures")
    later = "1 still RUNNING there: the same command completes them later"
    assert merge(tmp_path / "theirs") == [f"0 runs copied, 0 already here, {later}"]
    assert content(checkout("ours").client)["long"][0][1] == "RUNNING"
    other = checkout("theirs")
    with other.active(run_id):
        other.epochs.log(run_id, epochs(3))
    assert merge(tmp_path / "theirs") == ["1 runs copied, 0 already here"]
    here = checkout("ours")
    assert content(here.client) == content(other.client)
    assert merge(tmp_path / "theirs") == ["0 runs copied, 1 already here"]
    here.client.delete_run(here.client.search_runs([here.experiment_id])[0].info.run_id)
    other = checkout("theirs")
    with other.active(run_id):
        pass  # it ends later than the copy that was deleted
    assert merge(tmp_path / "theirs") == ["0 runs copied, 1 already here"]


@pytest.mark.parametrize("state", ["older", "killed"])
def test_a_moved_store_of_an_older_mlflow_or_with_half_a_transaction_is_read_as_it_is(
    checkout, merge, theirs, tmp_path, state
):
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    moved = tmp_path / '50%41 of it\'s "data"/elsewhere'
    if state == "older":
        engine = create_sqlalchemy_engine(f"sqlite:///{theirs[0]}/mlflow.db")
        with engine.begin() as connection:
            settings = _get_alembic_config(str(engine.url))
            settings.attributes["connection"] = connection
            command.downgrade(settings, "-1")
        shutil.copytree(theirs[0], moved)
    else:
        writer = sqlite3.connect(theirs[0] / "mlflow.db", isolation_level=None)
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        for n in range(9):
            writer.execute("UPDATE tags SET value = ?", (str(n) * 5000,))
        shutil.copytree(theirs[0], moved)  # with the journal, as if the writer had been killed now
        writer.execute("ROLLBACK")
        assert (moved / "mlflow.db-journal").exists()
    shutil.rmtree(theirs[0])
    before = files(moved)
    (moved / "artifacts").rename(tmp_path / "artifacts")
    missing = f"1 runs of faces are not copied: {moved}/artifacts is missing"
    assert merge(moved)[:2] == ["0 runs copied, 0 already here", missing]
    (tmp_path / "artifacts").rename(moved / "artifacts")
    assert merge(moved) == ["1 runs copied, 0 already here"]
    assert files(moved) == before
    assert content(checkout("ours").client) == theirs[1]


def newer(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fffffffffffe'")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (newer, "is a newer MLflow's"),
        (lambda database: database.write_bytes(b"no database" * 1000), "file is not a database"),
        (lambda database: database.write_bytes(database.read_bytes()[:50_000]), "malformed"),
        (Path.unlink, "is no MLflow store; accepted: "),
    ],
)
def test_what_cannot_be_read_is_an_error_of_one_line_and_changes_nothing(
    checkout, merge, theirs, tmp_path, harm, message
):
    harm(theirs[0] / "mlflow.db")
    checkout("ours", "fer2013")
    rows = dump(tmp_path / "ours/mlruns")
    with pytest.raises(SystemExit, match=message) as ended:
        merge(theirs[0])
    assert "\n" not in ended.value.code
    assert dump(tmp_path / "ours/mlruns") == rows


@pytest.mark.process
@pytest.mark.slow
def test_a_checkout_is_copied_to_a_server_and_from_there_to_another(checkout, merge, theirs, tmp_path):
    with tracking_server(tmp_path) as address:
        assert merge(theirs[0], server=address) == ["1 runs copied, 0 already here"]
        assert merge(theirs[0], server=address) == ["0 runs copied, 1 already here"]
        assert merge(address) == ["1 runs copied, 0 already here"]
        assert merge(address, "theirs") == ["0 runs copied, 1 already here"]
    client = checkout("ours").client
    assert content(client) == theirs[1]
    assert client.get_model_version_by_alias("seed", "champion").version == 1
