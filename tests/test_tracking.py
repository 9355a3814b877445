"""MLflow's store: nothing twice, nothing left running, no long wait."""

import socket
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking
from pipeline.tracking import alive, finding
from pipeline.tracking.epochs import CURVES
from pipeline.tracking.failures import reason, redact
from pipeline.tracking.tracker import Tracker
from tests.conftest import ROOT, Project

ROW = {key: 0.5 for key in CURVES.values()} | {"seconds": 1.0}


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "MLRUNS", tmp_path / "mlruns")
    return Tracker(Tracking(uri=None, experiment="test"))


def rows(n: int) -> list[dict[str, float]]:
    return [{**ROW, "epoch": i + 1, "loss": 1 / (i + 1), "time": 1_700_000_000.5 + i} for i in range(n)]


def test_an_epoch_logged_again_changes_nothing(tracker):
    run_id = tracker.create("run", {"train": {"epochs": 3}}, {})
    tracker.epochs.log(run_id, rows(2))
    tracker.epochs.log(run_id, rows(3))
    found = tracker.client.get_metric_history(run_id, "train/loss")
    assert [(m.step, m.value) for m in found] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert tracker.client.get_run(run_id).data.params == {"train.epochs": "3"}


def test_a_server_that_is_named_and_not_chosen_is_warned_of(tracker, monkeypatch, capsys):
    Tracker(Tracking(uri=None, experiment="test"))
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    Tracker(Tracking(uri=None, experiment="test"))
    assert capsys.readouterr().err == "warning: MLFLOW_TRACKING_URI is set, and has no effect without tracking=server\n"


def test_a_training_is_found_by_its_id_and_as_a_registered_model_and_gives_its_files(tracker, tmp_path):
    run_id = tracker.create("run", {}, {})
    (tmp_path / "model.h5").write_bytes(b"network")
    tracker.log_files(run_id, [tmp_path / "model.h5"])
    tracker.client.create_registered_model("faces")
    tracker.client.create_model_version("faces", "file:///nowhere", run_id)
    tracker.client.set_registered_model_alias("faces", "champion", "1")
    for where in (run_id, run_id[:8], "models:/faces@champion", "models:/faces/1"):
        (tmp_path / "fetched").mkdir(exist_ok=True)
        assert finding.training(tracker, where) == run_id
        assert finding.fetch(tracker, where, "model.h5", tmp_path / "fetched").read_bytes() == b"network"
    with pytest.raises(PipelineError, match=r"has no other\.h5"):
        finding.fetch(tracker, run_id, "other.h5", tmp_path / "fetched")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("abcdef12", "0 runs of .* have an id that begins with abcdef12"),
        ("models:/faces@nobody", "has no models:/faces@nobody"),
        ("models:/faces/7", "has no models:/faces/7"),
        ("what?", r"no model 'what\?'; accepted: "),
    ],
)
def test_what_names_no_training_is_refused(tracker, where, message):
    with pytest.raises(PipelineError, match=message):
        finding.training(tracker, where)


def test_a_run_ends_finished_or_failed_with_its_error(tracker):
    good, bad = (tracker.create(name, {}, {}) for name in ("good", "bad"))
    with tracker.active(good):
        assert tracker.client.get_run(good).info.status == "RUNNING"
    with pytest.raises(PipelineError), tracker.active(bad):
        raise PipelineError("diverged")
    assert tracker.client.get_run(good).info.status == "FINISHED"
    assert tracker.client.get_run(bad).info.status == "FAILED"
    assert "diverged" in tracker.client.get_run(bad).data.tags["error"]


@pytest.mark.process
def test_a_run_whose_process_died_is_closed_by_the_next(tracker):
    mark = "from pipeline.tracking import alive; print(alive.mark())"
    ended = subprocess.run([sys.executable, "-c", mark], cwd=ROOT, capture_output=True, text=True, check=True)
    run_id, running = (tracker.create(name, {}, {}) for name in ("dead", "running"))
    tracker.client.set_tag(run_id, "pipeline.host_and_pid", ended.stdout.strip())
    again = Tracker(Tracking(uri=None, experiment="test"))
    assert again.client.get_run(run_id).info.status == "KILLED"
    assert again.client.get_run(running).info.status == "RUNNING"


@pytest.mark.parametrize(
    "mark", ["", "nonsense", "{host}", "{host} 1", "{host} x y", f"{{host}} {10**30} 5", "other 1 5"]
)
def test_a_mark_that_names_no_process_of_this_machine_is_not_dead(mark):
    assert not alive.is_dead(mark.format(host=socket.gethostname()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets the machine's start as Linux tells it")
def test_a_process_lives_on_when_the_clock_is_set_by_an_hour(monkeypatch):
    mark, booted = alive.mark(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600)  # the kernel counts it back from the clock
    assert psutil.boot_time() == booted + 3600
    assert not alive.is_dead(mark)
    host, pid, started = mark.split(" ")
    assert alive.is_dead(f"{host} {pid} {int(started) + 60}")


def test_a_server_that_fails_is_asked_twice_and_told_without_the_password():
    asked = []

    class HangsUp(socketserver.BaseRequestHandler):
        def handle(self):
            asked.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), HangsUp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        with pytest.raises(PipelineError, match=f"no tracking store at http://.*{host}") as error:
            Tracker(Tracking(uri=f"http://user:secret@{host}", experiment="test"))
        server.shutdown()
    assert "secret" not in str(error.value)
    assert len(asked) == 2, "MLflow asks eight times, for minutes"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000", "http://***@host:5000"),
        ("http://me:p@secret@host:5000", "http://***@host:5000"),
        ("http://secret@host/path", "http://***@host/path"),
        ("http://me:8080@host:5000", "http://***@host:5000"),
        ("postgresql://me:se/cr?et@host:5432/db", "postgresql://***@host:5432/db"),
        ("postgresql+psycopg://me:secret@host/db?user=a@b&password=secret", "postgresql+psycopg://***@host/db?***"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db?***"),
        ("postgresql://host:5432,host:5433/db?user=a@b&password=secret", "postgresql://host:5432,host:5433/db?***"),
        ("https://host:8000/a.zip?mail=me@there&token=secret", "https://host:8000/a.zip?***"),
        ("https://[::1]:8000/a.zip?mail=me@there&token=secret", "https://[::1]:8000/a.zip?***"),
        ("a=http://me:secret@one/x b='http://me:secret@two?key=secret c", "a=http://***@one/x b='http://***@two?*** c"),
        ("http://host:5000/a@b and me@there", "http://host:5000/a@b and me@there"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("is this http://host:5000? no: me@there", "is this http://host:5000? no: me@there"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_password(text, shown):
    assert redact(text) == shown


def test_a_reason_that_is_cut_short_shows_no_part_of_a_password():
    """The address begins before the 200th letter, and its password ends after it."""
    told = reason(ConnectionError(f"{'no answer ' * 18} http://me:{'secret' * 9}@host:5000"))
    assert "no answer" in told
    assert "secret" not in told


@pytest.mark.process
def test_processes_that_start_together_share_one_new_store(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline.core import paths;"
        "from pipeline.tracking.tracker import Tracker;"
        "from pipeline.core.schema import Tracking;"
        "paths.MLRUNS = Path(sys.argv[1], 'mlruns'); t = Tracker(Tracking(uri=None, experiment='x'));"
        "print(t.client.get_run(t.create('r', {}, {})).info.experiment_id)"
    )
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda _: Project(ROOT).run(sys.executable, "-c", code, str(tmp_path)), range(3))
    assert len({each.stdout.splitlines()[-1] for each in done}) == 1


def test_the_first_metric_is_the_val_accuracy_of_the_best_epoch_so_far(tracker):
    """MLflow's UI compares runs by the metric that was logged first, and shows the latest value."""
    run_id = tracker.create("run", {}, {})
    history = [{**row, "val_accuracy": accuracy} for row, accuracy in zip(rows(3), (0.4, 0.6, 0.5), strict=True)]
    tracker.epochs.log(run_id, history)
    found = tracker.client.get_run(run_id).data.metrics
    assert next(iter(found)) == "val/accuracy"
    assert (found["val/accuracy"], found["val/epoch_accuracy"]) == (0.6, 0.5)
    tracker.log_metrics(run_id, {"val/accuracy": 0.59})
    assert tracker.client.get_run(run_id).data.metrics["val/accuracy"] == 0.59, "the saved weights' own replaces it"


def test_a_training_that_starts_again_from_its_first_epoch_logs_no_point_twice(tracker):
    run_id = tracker.create("run", {}, {})
    tracker.epochs.log(run_id, rows(2))
    again = Tracker(Tracking(uri=None, experiment="test"))
    again.epochs.log(run_id, [{**row, "time": row["time"] + 1000} for row in rows(3)])
    assert [m.step for m in tracker.client.get_metric_history(run_id, "train/loss")] == [1, 2, 3]


def test_the_ui_opens_on_the_experiment_that_has_runs(tracker):
    other = Tracker(Tracking(uri=None, experiment="synthetic"))
    assert finding.experiment(tracker) == tracker.experiment_id, "there are no runs yet"
    other.create("demo", {}, {})
    assert finding.experiment(tracker) == other.experiment_id
    tracker.create("run", {}, {})
    assert finding.experiment(tracker) == tracker.experiment_id


def test_a_run_is_found_again_if_its_training_was_killed_before_it_saved_the_id(tracker):
    first = tracker.create("run", {"seed": 1}, {}, checkpoint="abc")
    assert tracker.create("run", {"seed": 1}, {}, checkpoint="abc") == first
    with tracker.active(first):
        pass
    assert tracker.create("run", {"seed": 1}, {}, checkpoint="abc") != first, "a finished training is repeated"


@pytest.mark.process
def test_processes_that_log_the_same_new_dataset_together_all_succeed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from pipeline.core import paths;"
        "from mlflow.entities import Dataset; from pipeline.tracking.tracker import Tracker;"
        "from pipeline.core.schema import Tracking;"
        "paths.MLRUNS = Path(sys.argv[1], 'mlruns'); t = Tracker(Tracking(uri=None, experiment='x'));"
        "r = t.create('r', {}, {});"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()));"
        "[t.log_datasets(r, {'train': Dataset(f'd{i}', 'digest', 'local', '{}')}) for i in range(20)];"
        "print(len(t.client.get_run(r).inputs.dataset_inputs))"
    )
    with ThreadPoolExecutor() as pool:
        start = str(time.time() + 15)
        done = list(pool.map(lambda _: Project(ROOT).run(sys.executable, "-c", code, str(tmp_path), start), range(4)))
    assert [each.stdout.splitlines()[-1] for each in done] == ["20"] * 4
