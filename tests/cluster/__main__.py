"""A sweep on two Ray nodes, one of which is lost in the middle: every job must be recorded once, and whole.

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

from tests.cluster import nodes, services
from tests.cluster.checks import Seen, check, refuses_strangers
from tests.conftest import Project, shrunk
from tests.processes import scratch

JOBS = 8
EPOCHS = 12
SWEEP = ["tracking=server", "hydra/launcher=ray_cluster", f"seed=range(1,{JOBS + 1})"]


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
        tell("two Ray nodes with one CPU each, which ask for a token")
        address, (head, other) = stack.enter_context(nodes.cluster(folder, ["head", "other"], environment))
        refuses_strangers(store, address, environment)
        with _sweep(project, {**environment, "RAY_ADDRESS": address}) as sweep:
            seen = _lose(other, head, sweep, Seen(store))
        check(project, seen, sweep.returncode, JOBS, EPOCHS)
        left = nodes.count(address, environment)
        assert left == 1, f"{left} nodes are alive"
    print(f"passed: {seen.summary()}, {time.monotonic() - started:.0f} s")


def tell(what: str) -> None:
    print(f"== {what}", flush=True)


def _project(folder: Path) -> Project:
    (folder / "project").mkdir()
    project = shrunk(folder / "project")
    faces = project.path("conf/data/synthetic.yaml")
    faces.write_text(faces.read_text().replace("[8, 2, 2]", "[60, 2, 2]"))
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
            if "goes on" in line or not any(word in line for word in (" epoch ", "raylet", "state-dump")):
                print(f"   {line}", end="", flush=True)

    shown = threading.Thread(target=show, daemon=True)
    shown.start()
    try:
        yield sweep
        shown.join(timeout=10)
    finally:
        sweep.kill()
        sweep.wait()


def _lose(other: nodes.Node, head: nodes.Node, sweep: subprocess.Popen, seen: Seen) -> Seen:
    """Watch the sweep until its end, and lose the node `other` in the middle of its second job or a later one."""
    lost = False
    while sweep.poll() is None:
        seen.look([head, other])
        if not lost and len(seen.jobs(other)) > 1 and seen.is_training(other):
            lost = True
            tell(f"{seen.finished()} jobs have ended; lost the node `other`, {other.lose()} processes")
        time.sleep(1)
    assert lost, "the sweep ended before a node was lost"
    return seen


if __name__ == "__main__":
    main(sys.argv[1:])
