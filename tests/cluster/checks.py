"""What a sweep left in the tracking server and on disk, and on which node its jobs ran."""

import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import mlflow
import requests

from tests.conftest import Project
from tests.interrupt import SAVING

_RECORD = """

import os


def _recorded(save):
    def save_and_record(self, *arguments):
        save(self, *arguments)
        epoch, gpus = len(arguments[-1].history), os.environ.get("CUDA_VISIBLE_DEVICES")
        with open({file!r}, "a") as file:
            file.write(json.dumps([self.folder.name, epoch, os.environ["CLUSTER_NODE"], gpus]) + "\\n")

    return save_and_record


Checkpoint.save = _recorded(Checkpoint.save)
"""


def record(project: Project) -> Path:
    """Have each training of `project` write a line for each epoch that it saves; return the file of all."""
    file = project.path("outputs/saved.jsonl")
    with open(project.path(SAVING), "a") as module:
        module.write(_RECORD.format(file=str(file)))
    return file


def computed_once(saved: Path, jobs: int, epochs: int) -> str:
    """Check that every epoch was computed once, by which node, and on one GPU; return a summary."""
    done, nodes = defaultdict(list), defaultdict(list)
    for job, epoch, node, gpus in map(json.loads, saved.read_text().splitlines()):
        done[job].append(epoch)
        nodes[job].append(node)
        assert gpus in ("0", "1"), f"a job sees the GPUs {gpus}"
    assert list(done.values()) == [[*range(1, epochs + 1)]] * jobs, done
    lost = [names for names in nodes.values() if len(set(names)) > 1]
    assert lost == [["other", "other", *["head"] * (epochs - 2)]], nodes
    ended = [names[-1] for names in nodes.values()]
    assert ended.count("other") == 1, nodes
    return f"{jobs - 1} jobs ended on head, 1 of them begun on other before it was lost, and 1 on other"


def refuses_strangers(store: str, address: str, environment: dict[str, str]) -> None:
    """Check that neither server answers without its password or token."""
    experiments = f"{store}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert requests.get(experiments, auth=("admin", "wrong"), timeout=10).status_code == 401
    code = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False)"
    stranger = {**environment, "RAY_AUTH_TOKEN": "wrong"}
    joins = ["python", "-c", code, address]
    done = subprocess.run(joins, env=stranger, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0, "Ray takes a wrong token"
    assert "token" in done.stderr.lower(), done.stderr


def recorded_once(project: Project, store: str, jobs: int, epochs: int) -> None:
    """Check that every job is recorded once, with each epoch once and its model."""
    (folder,) = project.path("multirun").iterdir()
    results = [json.loads((folder / str(i) / "job.json").read_text()) for i in range(jobs)]
    assert [result["status"] for result in results] == ["FINISHED"] * jobs
    client = mlflow.MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("synthetic").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * (jobs + 1)
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = {run.info.run_id: run for run in runs if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert {result["mlflow_run_id"] for result in results} == set(children)
    for number, result in enumerate(results):
        steps = [metric.step for metric in client.get_metric_history(result["mlflow_run_id"], "train/loss")]
        assert sorted(steps) == list(range(1, epochs + 1)), f"job {number} has the epochs {steps}"
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(client.download_artifacts(result["mlflow_run_id"], "model.h5", scratch))
            assert model.read_bytes() == (folder / str(number) / "models/model.h5").read_bytes()
