"""A moved or copied checkout keeps its runs and artifacts."""

import re
import shutil
import sqlite3
import sys
from pathlib import Path

import mlflow
import pytest

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking
from pipeline.tracking import store
from pipeline.tracking.tracker import Tracker
from tests import stores
from tests.conftest import Project
from tests.stores import dump, files, register, text, train

checkout, empty = stores.checkout, stores.empty
ODD = '50%41 of it\'s "data" ü'
"""A folder's name with all that addresses and SQL quote."""
NO_ADDRESS = {
    *(("runs", name) for name in ("source_type", "source_name", "source_version")),
    *(("datasets", name) for name in ("dataset_source", "dataset_source_type")),
    *(
        (table, name)
        for table in ("inputs", "entity_associations", "assessments")
        for name in ("source_type", "source_id")
    ),
    *(("evaluation_dataset_records", name) for name in ("source", "source_id", "source_type")),
    *(("endpoint_bindings", name) for name in ("resource_type", "resource_id")),
    *(("workspaces", name) for name in ("default_artifact_root", "trace_archival_location")),
    *(("issues", name) for name in ("root_causes", "source_run_id")),
    *(("logged_models", "source_run_id"), ("model_versions", "run_link"), ("webhooks", "url")),
    *(("mcp_server_versions", "source"), ("mcp_access_endpoints", "url")),
}
"""Columns that sound like an address of artifacts and are none, or that only a server with workspaces fills."""


@pytest.mark.parametrize("name", ["new", ODD])
def test_a_moved_checkout_shows_its_artifacts_and_keeps_new_ones_itself(checkout, tmp_path, name):
    run_id, model_id = train(checkout("old"), "first", tmp_path)
    (tmp_path / "old").rename(tmp_path / name)
    moved = checkout(name)
    assert text(moved, run_id, "first") == "the artifact of first"
    assert moved.client.list_logged_model_artifacts(model_id)[0].path == "first.txt"
    again, _ = train(moved, "second", tmp_path)
    moved.log_files(run_id, [tmp_path / "second.txt"], "figures")
    assert text(moved, again, "second") == text(moved, run_id, "second") == "the artifact of second"
    assert not (tmp_path / "old").exists()


def test_no_address_of_the_old_place_is_left_and_nothing_else_is_changed(checkout, tmp_path):
    old = checkout("old")
    run_id, model_id = train(old, "run", tmp_path)
    register(old, model_id, "champion")
    uri = old.client.get_run(run_id).info.artifact_uri
    old.client.create_model_version("seed", f"{uri}/figures", run_id)
    old.client.set_tag(run_id, "note", f"was {uri}")
    (tmp_path / "old").rename(tmp_path / "new")
    before = dump(tmp_path / "new/mlruns")
    checkout("new")
    after = dump(tmp_path / "new/mlruns")
    changed = {line for line in before if line not in set(after)}
    assert {line.split('"')[1] for line in changed} == {"experiments", "runs", "logged_models", "model_versions"}
    assert [line for line in after if str(tmp_path / "old/mlruns") in line] == [f for f in before if f"was {uri}" in f]


def test_a_copied_checkout_leaves_the_original_alone(checkout, tmp_path):
    run_id, _ = train(checkout("old"), "run", tmp_path)
    before = files(tmp_path / "old/mlruns")
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    copy = checkout("copy")
    train(copy, "another", tmp_path)
    copy.log_files(run_id, [tmp_path / "another.txt"], "figures")
    assert files(tmp_path / "old/mlruns") == before
    assert text(copy, run_id, "run") == "the artifact of run"


def test_a_store_in_its_place_is_not_written_to(checkout, tmp_path, capsys):
    train(checkout("here"), "run", tmp_path)
    before = files(tmp_path / "here/mlruns")
    capsys.readouterr()
    store.relocate(tmp_path / "here/mlruns")
    assert files(tmp_path / "here/mlruns") == before
    assert capsys.readouterr().out == ""


def test_artifacts_kept_elsewhere_or_left_behind_stay_reachable(checkout, tmp_path):
    old = checkout("old")
    left, _ = train(old, "left", tmp_path)
    chosen = (tmp_path / "disk/artifacts").as_uri()
    elsewhere = old.client.create_run(old.client.create_experiment("elsewhere", chosen)).info.run_id
    old.log_files(elsewhere, [tmp_path / "left.txt"], "figures")
    (tmp_path / "new/mlruns").mkdir(parents=True)
    shutil.copy(tmp_path / "old/mlflow.db", tmp_path / "new")
    new = checkout("new")
    assert text(new, left, "left") == text(new, elsewhere, "left") == "the artifact of left"
    assert new.client.get_experiment_by_name("elsewhere").artifact_location == chosen
    again, _ = train(new, "again", tmp_path)
    assert str(tmp_path / "new") in new.client.get_run(again).info.artifact_uri


def test_every_column_of_mlflow_that_may_hold_an_address_is_known(empty):
    database = sqlite3.connect(empty)
    query = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    words = r"location|ur[il]$|url|root|source|path|link$|artifact"
    found = {(table, column) for table, column in database.execute(query) if re.search(words, column)}
    known = {(table, column) for table, column, _ in store.LOCATIONS} - {("trace_tags", "value")}
    assert found == known | NO_ADDRESS


def test_a_folder_with_quotes_has_a_store(tmp_path):
    mlruns = tmp_path / 'it\'s "mine"' / "mlruns"
    store.create(mlruns)
    (default,) = mlflow.MlflowClient(store.uri(store.database(mlruns))).search_experiments()
    assert store.local(default.artifact_location) == mlruns / "0"


def test_a_damaged_store_is_told(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    monkeypatch.setattr(paths, "MLRUNS", tmp_path / "mlruns")
    with pytest.raises(PipelineError, match=r"mlflow\.db is damaged"):
        Tracker(Tracking(uri=None, experiment="faces"))


@pytest.mark.process
def test_a_copy_that_dvc_works_in_uses_the_checkouts_store(checkout, tmp_path):
    run_id, _ = train(checkout("home"), "run", tmp_path)
    before = dump(tmp_path / "home/mlruns")
    root = Path(__file__).resolve().parents[1]
    shutil.copytree(root / "pipeline", tmp_path / "home/.dvc/tmp/exps/1/pipeline")
    code = (
        "from pipeline.tracking.tracker import Tracker; from pipeline.core.schema import Tracking;"
        "t = Tracker(Tracking(uri=None, experiment='faces'));"
        f"print(t.client.list_artifacts('{run_id}', 'figures')[0].path)"
    )
    done = Project(tmp_path / "home/.dvc/tmp/exps/1").run(sys.executable, "-c", code, DVC_ROOT=str(tmp_path / "home"))
    assert done.stdout == "figures/run.txt\n"
    assert dump(tmp_path / "home/mlruns") == before
