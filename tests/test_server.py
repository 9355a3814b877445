"""A tracking server that is lost in the middle of a training."""

import re

import pytest

from tests.conftest import free_port, tracking_server
from tests.interrupt import Breakpoint

pytestmark = pytest.mark.slow


def test_training_goes_on_and_the_same_command_completes_the_record(project):
    from mlflow import MlflowClient

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    project.edit("params.yaml", "epochs: 1", "epochs: 3")
    project.edit("params.yaml", "tracking: local", "tracking: server")
    project.edit("conf/tracking/server.yaml", "^uri: .*", f"uri: {address}")
    for stage in ("download", "preprocess"):
        project.stage(stage)
    second = Breakpoint(project, epoch=2)
    with tracking_server(project.folder, port):
        training = project.start("env", "DVC_STAGE=train", "python", "-m", "pipeline.train", real=False)
        pid = second.wait(training)
    second.resume(pid)
    printed, _ = training.communicate()
    assert training.returncode == 1
    # The thread that logs prints the warning, maybe into the line of an epoch.
    assert re.findall(r"epoch  (\d): loss", printed) == ["1", "2", "3"]
    assert "warning: metrics not logged" in printed
    with tracking_server(project.folder, port):
        assert "resuming after epoch 3 of 3" in project.stage("train", DVC_STAGE="train").stdout
        store = MlflowClient(address)
        (run,) = store.search_runs([store.get_experiment_by_name("synthetic").experiment_id])
        assert run.info.status == "FINISHED"
        assert [m.step for m in store.get_metric_history(run.info.run_id, "train/loss")] == [1, 2, 3]
        assert {"model.h5", "history.csv"} <= {a.path for a in store.list_artifacts(run.info.run_id)}
