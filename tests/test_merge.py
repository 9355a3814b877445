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
WRITES += ("log_inputs", "log_outputs", "log_artifacts", "delete_logged_model", "delete_run", "set_terminated")
WRITES += ("create_registered_model", "create_model_version")
ONCE, AGAIN = ["1 runs copied, 0 already here"], ["0 runs copied, 1 already here"]


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
    """Return the folder of a checkout with the run `theirs`, its registered model, and what the run holds."""
    other = checkout("theirs")
    register(other, train(other, "theirs", tmp_path)[1], "champion")
    return tmp_path / "theirs", content(other.client)


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
    assert {name: here[name] for name in here if name != "ours"} == wanted
    (copy,) = tracker.client.search_runs([tracker.experiment_id], f"tags.`pipeline.merged_from` = '{run_id}'")
    new = tracker.client.get_logged_model(copy.outputs.model_outputs[0].model_id)
    described = Path(new.artifact_location.removeprefix("file://"), "MLmodel")
    assert described.read_text() == f"{new.model_id} {copy.info.run_id}"
    rows = dump(tmp_path / "ours/mlruns")
    assert merge(tmp_path / "away/mlruns") == ["0 runs copied, 3 already here"]
    assert merge(tmp_path / "ours", "away") == ["1 runs copied, 3 already here"]
    assert merge(f"sqlite:///{tmp_path}/away/mlflow.db") == ["0 runs copied, 4 already here"]
    assert dump(tmp_path / "ours/mlruns") == rows


def test_versions_and_aliases_here_stay_and_theirs_take_the_next_number(checkout, merge, tmp_path):
    for name, aliases in {"ours": ["champion"], "theirs": ["champion", "small"]}.items():
        tracker = checkout(name)
        run_id, model = train(tracker, name, tmp_path)
        register(tracker, model, *aliases)
        tracker.client.set_model_version_tag("seed", "1", "training", run_id)
        tracker.client.create_model_version("seed", "file:///elsewhere")
    left = "version 2 of model seed is not copied: no copied run has file:///elsewhere"
    kept = "alias champion of model seed stays with version 1, not 3"
    assert merge(tmp_path / "theirs") == [*ONCE, left, kept]
    assert merge(tmp_path / "theirs") == [*AGAIN, left, kept]
    assert len(merge(tmp_path / "ours", "theirs")) == 3  # ours, with its version; not the copies of theirs
    assert merge(tmp_path / "theirs") == ["0 runs copied, 2 already here", left, kept]
    client = checkout("ours").client
    versions = {v.version: v for v in client.search_model_versions("name = 'seed'")}
    assert sorted(versions) == [1, 2, 3]
    assert client.get_registered_model("seed").aliases == {"champion": 1, "small": 3}
    run = client.get_run(versions[3].run_id)
    assert (run.info.run_name, versions[3].tags) == ("theirs", {"training": run.info.run_id})
    assert versions[3].source == f"models:/{run.outputs.model_outputs[0].model_id}"


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


def test_a_run_is_copied_when_it_and_its_parent_have_ended_and_a_copy_that_is_in_use_stays(checkout, merge, tmp_path):
    other = checkout("theirs")
    parent = other.create("sweep", {}, {"source": "sweep"})
    child = other.create("job", {}, {}, parent)
    other.client.log_text(child, "log", "log.txt")
    other.client.set_terminated(child)
    later = "2 runs are still running there; the same command copies them when they have ended"
    assert merge(tmp_path / "theirs") == ["0 runs copied, 0 already here", later]
    other.client.set_terminated(parent)
    assert merge(tmp_path / "theirs") == ["2 runs copied, 0 already here"]
    here = checkout("ours")
    assert content(here.client) == content(other.client)
    copy = here.client.search_runs([here.experiment_id], "run_name = 'job'")[0].info.run_id
    with here.active(copy):  # a training that resumes in the copy
        assert merge(tmp_path / "theirs") == ["0 runs copied, 2 already here"]
        assert here.exists(copy)
    here.client.delete_run(copy)
    assert merge(tmp_path / "theirs") == ["0 runs copied, 2 already here"]


@pytest.mark.parametrize("state", ["older", "killed"])
def test_a_moved_store_of_an_older_version_or_with_half_a_transaction_is_read(checkout, merge, theirs, tmp_path, state):
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    moved, database = tmp_path / '50%41 of it\'s "data"', theirs[0] / "mlflow.db"
    if state == "older":
        command.downgrade(_get_alembic_config(f"sqlite:///{database}"), "-1")
        database = database.rename(theirs[0] / "mlruns/mlflow.db")
    writer = sqlite3.connect(database, isolation_level=None)
    if state == "killed":
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        for n in range(9):
            writer.execute("UPDATE tags SET value = ?", (str(n) * 5000,))
    shutil.copytree(theirs[0], moved)  # with the journal, as if the writer had been killed now
    assert (moved / "mlflow.db-journal").exists() == (state == "killed")
    writer.close()
    shutil.rmtree(theirs[0])
    before = {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    artifacts = (moved / "mlruns/artifacts").rename(tmp_path / "artifacts")
    missing = f"1 runs of faces are not copied: {moved}/mlruns/artifacts is missing"
    assert merge(moved)[:2] == ["0 runs copied, 0 already here", missing]
    artifacts.rename(moved / "mlruns/artifacts")
    assert merge(moved / "mlruns") == ONCE
    assert {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()} == before
    assert content(checkout("ours").client) == theirs[1]


NEWER = "UPDATE alembic_version SET version_num = 'fffffffffffe'"
HARM = {
    "is a newer MLflow's": lambda db: sqlite3.connect(db).executescript(NEWER),
    "file is not a database": lambda db: db.write_bytes(b"no database" * 1000),
    "malformed": lambda db: db.write_bytes(db.read_bytes()[:50_000]),
    "is no MLflow store; accepted: ": Path.unlink,
}


@pytest.mark.parametrize("message", HARM)
def test_what_cannot_be_read_is_an_error_of_one_line_and_changes_nothing(checkout, merge, theirs, tmp_path, message):
    HARM[message](theirs[0] / "mlflow.db")
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
        assert merge(theirs[0], server=address) == ONCE
        assert merge(theirs[0], server=address) == AGAIN
        assert merge(address) == ONCE
        assert merge(address, "theirs") == AGAIN
    client = checkout("ours").client
    assert content(client) == theirs[1]
    assert client.get_model_version_by_alias("seed", "champion").version == 1
