"""A tracking server that is lost in the middle of a training."""

import os
import signal

import pytest

from tests.conftest import free_port, wait_until_healthy

pytestmark = pytest.mark.slow


@pytest.fixture
def server(project):
    """Return the address of a tracking server, and the functions that start and kill it."""
    port = free_port()
    address, running = f"http://127.0.0.1:{port}", []
    store = [f"sqlite:///{project.path('server.db')}", "--artifacts-destination", str(project.path("server"))]
    command = ["python", "-m", "mlflow", "server", "--backend-store-uri", *store, "--workers", "1", "--port", str(port)]

    def start() -> None:
        running.append(project.start("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", *command))
        wait_until_healthy(address, running[-1])

    def kill() -> None:
        process = running.pop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    yield address, start, kill
    while running:
        kill()


def test_training_goes_on_and_the_same_command_completes_the_record(project, server):
    from mlflow import MlflowClient

    address, start, kill = server
    project.edit("conf/data/faces.yaml", r"angry: \[8, 2, 2\]", "angry: [1000, 2, 2]")
    project.edit("params.yaml", "epochs: 1", "epochs: 3")
    project.edit("params.yaml", "tracking: local", "tracking: server")
    project.edit("conf/tracking/server.yaml", "^uri: .*", f"uri: {address}")
    for stage in ("download", "preprocess"):
        project.stage(stage)
    start()
    training = project.start("env", "DVC_STAGE=train", "python", "-m", "pipeline.train")
    printed = []
    for line in training.stdout:
        printed.append(line)
        if line.startswith("epoch  1"):
            kill()
    assert training.wait() == 1
    assert [line[:8] for line in printed if line.startswith("epoch")] == ["epoch  1", "epoch  2", "epoch  3"]
    assert "warning: metrics not logged" in "".join(printed)
    start()
    assert "goes on after epoch 3 of 3" in project.stage("train", DVC_STAGE="train").stdout
    store = MlflowClient(address)
    (run,) = store.search_runs([store.get_experiment_by_name("fer2013").experiment_id])
    assert run.info.status == "FINISHED"
    assert [m.step for m in store.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3]
    assert {"model.h5", "history.csv"} <= {a.path for a in store.list_artifacts(run.info.run_id)}
