"""python -m pipeline.ui: what is served, and what others on the machine see of it."""

import os
import signal
import socket
import urllib.request

import mlflow
import psutil
import pytest

from pipeline.core.schema import Tracking
from pipeline.tracking.tracker import Tracker
from tests.conftest import SECONDS, free_port, listening, wait_until_healthy
from tests.processes import running


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A worker of MLflow's server that has just started may need longer than the seconds that a training waits."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")


def test_the_address_of_a_database_stands_on_no_command_line_and_its_runs_are_served(project):
    project.edit("params.yaml", "tracking: local", "tracking: server")
    store, port = f"sqlite:///{project.path('there.db')}?timeout=17", free_port()
    Tracker(Tracking(uri=store, experiment="theirs"))
    server = project.start("env", f"MLFLOW_TRACKING_URI={store}", "python", "-m", "pipeline.ui", "--port", str(port))
    try:
        hidden = f"sqlite:///{project.path('there.db')}?***"  # as a password would be
        assert server.stdout.readline() == f"starting MLflow's UI of the runs in {hidden}; Ctrl-C ends it\n"
        address = next(line for line in server.stdout if line.startswith("http"))
        assert address.startswith(f"http://127.0.0.1:{port}/#/experiments/")
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()  # printed when it answers
        assert listening(port) == {("127.0.0.1", port)}
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert "timeout=17" not in str([process.cmdline() for process in processes])
        assert mlflow.MlflowClient(f"http://127.0.0.1:{port}").get_experiment_by_name("theirs")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(SECONDS)


def test_a_port_in_use_is_told_before_anything_starts(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = project.stage("ui", "--port", str(port), check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"error: port {port} cannot be used" in done.stderr


def test_help_tells_the_options_and_says_nothing_of_a_server(project):
    printed = project.stage("ui", "--help").stdout
    assert "--port PORT" in printed
    assert "mlflow ui" in printed
    assert "starting" not in printed
    assert not project.path("mlruns").exists()


@pytest.mark.slow
def test_plain_mlflow_ui_in_the_checkout_shows_the_same_runs(finished, tmp_path):
    port = free_port()
    command, here = ("mlflow", "ui", "--port", str(port)), {"cwd": finished.folder, "env": finished.environment()}
    with running(tmp_path / "ui.txt", *command, **here) as server:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        found = mlflow.MlflowClient(f"http://127.0.0.1:{port}").get_experiment_by_name("synthetic")
        assert found
    assert {path.name for path in finished.folder.glob("mlflow*")} == {"mlflow.db"}
