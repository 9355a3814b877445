"""Another checkout's mlruns/ is brought in: nothing lost, nothing twice, all of it or nothing."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.core.errors import PipelineError
from pipeline.merge import __main__ as merge
from tests import stores
from tests.conftest import shrunk
from tests.stores import dump, epochs, files, register, text, train

checkout, empty = stores.checkout, stores.empty


@pytest.fixture
def both(checkout, tmp_path):
    """Return the mlruns of two checkouts, ours and theirs, which have the run `our` and the run `their`."""
    (tmp_path / "files").mkdir()
    for name in ("ours", "theirs"):
        train(checkout(name), name, tmp_path / "files")
    return tmp_path / "ours/mlruns", tmp_path / "theirs/mlruns"


def runs(tracker) -> dict:
    return {run.info.run_name: run for run in tracker.client.search_runs([tracker.experiment_id])}


def test_a_run_comes_with_all_that_belongs_to_it(both, checkout):
    ours, theirs = both
    there = runs(checkout("theirs"))["theirs"]
    assert merge.merge(theirs, ours) == (1, 0, 0, [], [])
    here = checkout("ours")
    run, run_id = runs(here)["theirs"], there.info.run_id
    assert run.data.to_dictionary() == there.data.to_dictionary()
    assert (run.info.status, run.info.end_time) == ("FINISHED", there.info.end_time)
    assert [m.step for m in here.client.get_metric_history(run_id, "loss")] == [1, 2, 3]
    assert [(i.dataset.name, i.tags[0].value) for i in run.inputs.dataset_inputs] == [("faces", "training")]
    assert text(here, run_id, "theirs") == "the artifact of theirs"
    (model,) = run.outputs.model_outputs
    assert here.client.get_logged_model(model.model_id).params == {"filters": "4"}
    shutil.rmtree(theirs)
    assert [f.path for f in here.client.list_logged_model_artifacts(model.model_id)] == ["theirs.txt"]
    database = sqlite3.connect(ours / "mlflow.db")
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert database.execute("SELECT count(*) FROM datasets").fetchone() == (1,)
    assert {p.name for p in ours.iterdir()} == {"artifacts", "create.lock", "merge.lock", "merge.pid", "mlflow.db"}


def test_given_again_it_changes_nothing_and_the_other_store_is_never_written_to(both):
    ours, theirs = both
    before = files(theirs)
    merge.merge(theirs, ours)
    after, rows = files(ours), dump(ours)
    assert merge.merge(theirs, ours) == (0, 1, 0, [], [])
    assert dump(ours) == rows
    assert {name: f for name, f in files(ours).items() if name != "mlflow.db"} == {
        name: f for name, f in after.items() if name != "mlflow.db"
    }
    assert files(theirs) == before


def test_experiments_are_matched_by_name_not_by_number(checkout, tmp_path):
    made = {"ours": ("faces", "digits", "ours alone"), "theirs": ("digits", "faces", "theirs alone")}
    for name, experiments in made.items():
        for experiment in experiments:
            train(checkout(name, experiment), f"{name}, {experiment}", tmp_path)
    merge.merge(tmp_path / "theirs/mlruns", tmp_path / "ours/mlruns")
    assert {e: set(runs(checkout("ours", e))) for e in {*made["ours"], *made["theirs"]}} == {
        "faces": {"ours, faces", "theirs, faces"},
        "digits": {"ours, digits", "theirs, digits"},
        "ours alone": {"ours, ours alone"},
        "theirs alone": {"theirs, theirs alone"},
    }
    new = checkout("ours", "theirs alone")
    assert len(new.client.search_logged_models([new.experiment_id])) == 1
    train(new, "new", tmp_path)
    assert [name for name in files(tmp_path / "ours/mlruns") if name.endswith("new.txt")]


def test_a_registered_model_that_only_they_have_comes_as_it_is(checkout, tmp_path):
    checkout("ours")
    theirs = checkout("theirs")
    register(theirs, train(theirs, "run", tmp_path)[1], "champion")
    assert merge.merge(tmp_path / "theirs/mlruns", tmp_path / "ours/mlruns").notes == []
    client = checkout("ours").client
    assert client.get_registered_model("seed").tags == {"task": "emotions"}
    version = client.get_model_version_by_alias("seed", "champion")
    assert (version.version, version.tags) == (1, {})
    assert client.get_model_version_download_uri("seed", "1").startswith((tmp_path / "ours").as_uri())


def test_of_two_versions_of_one_number_and_one_alias_none_is_lost(checkout, tmp_path):
    made = {}
    for name, aliases in {"ours": ["champion"], "theirs": ["champion", "small"]}.items():
        tracker = checkout(name)
        made[name] = train(tracker, name, tmp_path)
        assert register(tracker, made[name][1], *aliases) == 1
    ours, theirs = tmp_path / "ours/mlruns", tmp_path / "theirs/mlruns"
    assert merge.merge(theirs, ours).notes == [
        "version 1 of model seed there is version 2 here",
        "alias champion of model seed stays with version 1; there it is 2's",
    ]
    rows = dump(ours)
    assert merge.merge(theirs, ours) == (0, 1, 0, [], [])
    assert dump(ours) == rows
    client = checkout("ours").client
    first, second = (client.get_model_version("seed", str(n)) for n in (1, 2))
    assert (first.run_id, first.tags) == (made["ours"][0], {})
    assert second.run_id == made["theirs"][0]
    assert second.tags == {"merged_from": f"version 1 of {theirs}", "merged_alias.champion": str(theirs)}
    assert client.get_registered_model("seed").aliases == {"champion": 1, "small": 2}


def test_merging_back_and_forth_ends_with_the_same_versions_on_both_sides(checkout, tmp_path):
    made = {}
    for name in ("ours", "theirs"):
        tracker = checkout(name)
        made[name] = train(tracker, name, tmp_path)
        register(tracker, made[name][1], "champion")
    ours, theirs = tmp_path / "ours/mlruns", tmp_path / "theirs/mlruns"
    merge.merge(theirs, ours)
    merge.merge(ours, theirs)
    rows = dump(ours)
    assert merge.merge(theirs, ours) == (0, 2, 0, [], [])
    assert dump(ours) == rows
    for name, other in (("ours", "theirs"), ("theirs", "ours")):
        client = checkout(name).client
        assert {v.version: v.run_id for v in client.search_model_versions("name = 'seed'")} == {
            1: made[name][0],
            2: made[other][0],
        }
        assert client.get_model_version_by_alias("seed", "champion").version == 1
        assert client.get_model_version("seed", "1").tags == {}
        (link,) = json.loads(client.get_logged_model(made[other][1]).tags["mlflow.modelVersions"])
        assert int(link["version"]) == 2


def test_a_merge_that_is_killed_before_its_rows_leaves_nothing_visible_and_is_completed(both, checkout, tmp_path):
    ours, theirs = both
    project = shrunk(tmp_path / "ours")
    checkout("ours", "fer2013")  # the command opens the store, and would make this experiment
    before = dump(ours)
    writer = sqlite3.connect(ours / "mlflow.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # the rows wait for this
    copied = ours / next(name for name in files(theirs) if name.endswith("figures/theirs.txt"))
    process = project.start(sys.executable, "-m", "pipeline.merge", str(theirs))
    while not copied.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    writer.execute("ROLLBACK")
    writer.close()
    assert dump(ours) == before
    assert set(runs(checkout("ours"))) == {"ours"}
    done = project.stage("merge", str(tmp_path / "theirs"))
    assert done.stdout.endswith("1 runs new, 0 already here\n")
    assert set(runs(checkout("ours"))) == {"ours", "theirs"}
    assert not (ours / "merging").exists()
    assert project.stage("merge", str(theirs)).stdout.endswith("0 runs new, 1 already here\n")


def test_a_run_that_goes_on_there_is_completed_by_the_next_merge(checkout, tmp_path):
    checkout("ours")
    tracker = checkout("theirs")
    ours, theirs = tmp_path / "ours/mlruns", tmp_path / "theirs/mlruns"
    run_id = tracker.create("long", {}, {})
    tracker.epochs.log(run_id, epochs(1))
    assert merge.merge(theirs, ours) == (1, 0, 0, ["long"], [])
    here = checkout("ours")
    here.client.set_tag(run_id, "seen", "here")
    assert runs(here)["long"].info.status == "RUNNING"
    tracker = checkout("theirs")
    with tracker.active(run_id):
        tracker.epochs.log(run_id, epochs(3))
        (tmp_path / "long.txt").write_text("the artifact of long")
        tracker.log_files(run_id, [tmp_path / "long.txt"], "figures")
    assert merge.merge(theirs, ours) == (0, 1, 1, [], [])
    here = checkout("ours")
    run = runs(here)["long"]
    assert (run.info.status, run.data.tags["seen"]) == ("FINISHED", "here")
    assert run.data.metrics["loss"] == pytest.approx(1 / 3)
    assert [m.step for m in here.client.get_metric_history(run_id, "loss")] == [1, 2, 3]
    assert text(here, run_id, "long") == "the artifact of long"
    assert merge.merge(theirs, ours) == (0, 1, 0, [], [])


def test_a_store_that_was_moved_and_never_opened_since_comes_with_its_artifacts(both, checkout, tmp_path):
    ours, theirs = both
    moved = tmp_path / '50%41 of it\'s "data"/elsewhere'
    moved.parent.mkdir()
    theirs.rename(moved)
    merge.merge(moved, ours)
    here = checkout("ours")
    assert text(here, runs(here)["theirs"].info.run_id, "theirs") == "the artifact of theirs"


def test_files_that_are_not_there_are_told_until_they_come(both, checkout, tmp_path):
    ours, theirs = both
    (theirs / "artifacts").rename(tmp_path / "artifacts")
    note = "the files of 1 run(s) are not there; merge again when they are, for them to come"
    assert merge.merge(theirs, ours) == (1, 0, 0, [], [note])
    (tmp_path / "artifacts").rename(theirs / "artifacts")
    assert merge.merge(theirs, ours) == (0, 1, 0, [], [])
    here = checkout("ours")
    assert text(here, runs(here)["theirs"].info.run_id, "theirs") == "the artifact of theirs"


def test_a_copy_of_our_own_store_adds_what_was_done_in_it(both, checkout, tmp_path):
    ours, _ = both
    shutil.copytree(ours, tmp_path / "copy/mlruns")
    train(checkout("copy"), "more", tmp_path)
    assert merge.merge(tmp_path / "copy/mlruns", ours) == (1, 1, 0, [], [])
    assert set(runs(checkout("ours"))) == {"ours", "more"}


def test_an_older_schema_is_upgraded_in_a_copy(both, checkout):
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    ours, theirs = both
    engine = create_sqlalchemy_engine(f"sqlite:///{theirs / 'mlflow.db'}")
    with engine.begin() as connection:
        settings = _get_alembic_config(str(engine.url))
        settings.attributes["connection"] = connection
        command.downgrade(settings, "-1")
    before = files(theirs)
    merge.merge(theirs, ours)
    assert files(theirs) == before
    assert set(runs(checkout("ours"))) == {"ours", "theirs"}


def test_a_writer_that_was_killed_there_takes_its_unfinished_rows_with_it(both, checkout):
    ours, theirs = both
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN');"
        '[db.execute("UPDATE tags SET value = ?", (str(n) * 5000,)) for n in range(9)];'
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(theirs / "mlflow.db")], check=False)
    assert (theirs / "mlflow.db-journal").stat().st_size > 0
    before = files(theirs)
    merge.merge(theirs, ours)
    assert files(theirs) == before
    assert runs(checkout("ours"))["theirs"].data.tags["source"] == "manual"


def revision(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("UPDATE alembic_version SET version_num = 'fffffffffffe'")
    connection.commit()
    connection.close()


def cut(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:50_000])


def no_mlflow(database: Path) -> None:
    database.unlink()
    sqlite3.connect(database).execute("CREATE TABLE runs (id)").connection.close()


def huge(database: Path) -> None:
    file = next(database.parent.rglob("theirs.txt"))
    os.truncate(file, shutil.disk_usage(file).free + 1)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (revision, "newer MLflow"),
        (cut, "damaged"),
        (lambda database: database.write_bytes(b"no database" * 1000), "damaged"),
        (no_mlflow, "no database of MLflow's"),
        (huge, "bytes are needed"),
    ],
)
def test_what_cannot_be_merged_is_told_and_changes_nothing(both, harm, message):
    ours, theirs = both
    harm(theirs / "mlflow.db")
    rows, names = dump(ours), set(files(ours))
    with pytest.raises(PipelineError, match=message):
        merge.merge(theirs, ours)
    assert dump(ours) == rows
    assert set(files(ours)) == names


def test_a_path_that_is_no_other_store_is_told(both, tmp_path):
    ours, _ = both
    with pytest.raises(PipelineError, match="no folder; accepted: another checkout"):
        merge.find(tmp_path / "missing")
    with pytest.raises(PipelineError, match=r"no mlflow\.db"):
        merge.find(tmp_path / "files")
    (tmp_path / "link").symlink_to(ours.parent)
    with pytest.raises(PipelineError, match="own store"):
        merge.merge(merge.find(tmp_path / "link"), ours)
