"""python -m pipeline.ui: what is served, and what others on the machine see of it."""

import os
import signal

import mlflow
import psutil

from pipeline.core.schema import Tracking
from pipeline.tracking.tracker import Tracker
from tests.conftest import SECONDS, free_port, listening, wait_until_healthy


def test_the_address_of_a_database_stands_on_no_command_line_and_its_runs_are_served(project):
    project.edit("params.yaml", "tracking: local", "tracking: server")
    store, port = f"sqlite:///{project.path('there.db')}?timeout=17", free_port()
    Tracker(Tracking(uri=store, experiment="theirs"))
    server = project.start("env", f"MLFLOW_TRACKING_URI={store}", "python", "-m", "pipeline.ui", "--port", str(port))
    try:
        hidden = f"sqlite:///{project.path('there.db')}?***"  # as a password would be
        assert server.stdout.readline() == f"http://127.0.0.1:{port} shows the runs of {hidden}; Ctrl-C ends it\n"
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        assert listening(port) == {("127.0.0.1", port)}
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert "timeout=17" not in str([process.cmdline() for process in processes])
        assert mlflow.MlflowClient(f"http://127.0.0.1:{port}").get_experiment_by_name("theirs")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(SECONDS)


def test_help_tells_the_options_and_says_nothing_of_a_server(project):
    printed = project.stage("ui", "--help").stdout
    assert "--port PORT" in printed
    assert "mlflow ui" in printed
    assert "shows the runs" not in printed
    assert not project.path("mlruns").exists()
