"""A sweep on two Ray nodes, one of which is lost in the middle: every job must be recorded once, and whole.

The node is lost in the middle of its second job, which waits there until it is, and so does the first job of the other.

`python -m tests.cluster` keeps the files of the runs in a folder of the tracking server, `--s3` on an S3 server.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import checks, nodes, services
from tests.conftest import Project, shrunk
from tests.interrupt import GIVE_UP, Breakpoint
from tests.processes import scratch

JOBS = 8
EPOCHS = 4
SWEEP = ["tracking=server", "hydra/launcher=ray_cluster", "hydra.launcher.ray.remote.num_gpus=1"]
SWEEP += ["model=linear", f"seed=range(1,{JOBS + 1})"]


def main(arguments: list[str]) -> None:
    """Start everything, sweep, lose a node, check, and end everything that was started."""
    if unknown := set(arguments) - {"--s3"}:
        sys.exit(f"error: {min(unknown)} is not known; accepted: --s3")
    services.initdb()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    started = time.monotonic()
    with scratch() as folder, contextlib.ExitStack() as stack:
        project, environment = _project(folder), nodes.give_token(folder / "home")
        artifacts, keys = stack.enter_context(services.s3(folder)) if arguments else (str(folder / "artifacts"), {})
        tell(f"tracking server on PostgreSQL, files in {artifacts}")
        store = stack.enter_context(services.tracking(folder, folder / "home", artifacts, keys))
        os.environ |= environment | {"MLFLOW_TRACKING_URI": store, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
        environment = project.environment({**environment, "MLFLOW_TRACKING_URI": store})
        tell("two Ray nodes with one CPU and two GPUs each, on paper, which ask for a token")
        address, (head, other) = stack.enter_context(nodes.cluster(folder, ["head", "other"], environment))
        checks.refuses_strangers(store, address, environment)
        third = Breakpoint(project, epoch=3, trainings=3)
        saved = checks.record(project)
        with _sweep(project, {**environment, "RAY_ADDRESS": address}) as sweep:
            _lose(other, head, sweep, third)
            sweep.wait(GIVE_UP)
        assert sweep.returncode == 0, f"the sweep ended with exit code {sweep.returncode}"
        checks.recorded_once(project, store, JOBS, EPOCHS)
        summary = checks.computed_once(saved, JOBS, EPOCHS)
        left = nodes.count(address, environment)
        assert left == 1, f"{left} nodes are alive"
    print(f"passed: {summary}, {time.monotonic() - started:.0f} s")


def tell(what: str) -> None:
    print(f"== {what}", flush=True)


def _project(folder: Path) -> Project:
    (folder / "project").mkdir()
    project = shrunk(folder / "project")
    project.edit("params.yaml", "epochs: 1", f"epochs: {EPOCHS}")
    return project


@contextlib.contextmanager
def _sweep(project: Project, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Start the sweep, and print what it prints but for the epochs and Ray's own state."""
    command = ["python", "-m", "pipeline.train", "-m", *SWEEP]
    tell(" ".join(command))
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    sweep = subprocess.Popen(command, cwd=project.folder, env=environment, **pipe)

    def show() -> None:
        for line in sweep.stdout:
            if "resum" in line or not any(word in line for word in (" epoch ", "raylet", "state-dump")):
                print(f"   {line}", end="", flush=True)

    shown = threading.Thread(target=show, daemon=True)
    shown.start()
    try:
        yield sweep
        shown.join(timeout=10)
    finally:
        sweep.kill()
        sweep.wait()


def _lose(other: nodes.Node, head: nodes.Node, sweep: subprocess.Popen, breakpoint_: Breakpoint) -> None:
    """Lose the node `other` in the middle of its second job, and the other one none of its own."""
    begun: dict[str, list[int]] = {other.name: [], head.name: []}
    while len(begun[other.name]) < 2:
        pid = breakpoint_.wait(sweep)
        node = other if pid in other.pids() else head
        begun[node.name].append(pid)
        if node is other and len(begun[other.name]) == 1:
            breakpoint_.resume(pid)
    tell(f"lost the node `other` in the middle of its second job, {other.lose()} processes")
    for pid in begun[head.name]:
        breakpoint_.resume(pid)


if __name__ == "__main__":
    main(sys.argv[1:])
