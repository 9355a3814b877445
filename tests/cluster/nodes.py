"""A Ray cluster of several nodes on one machine."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.conftest import free_port
from tests.interrupt import GIVE_UP
from tests.processes import family, kill, password, private, running

MEMORY = 80 * 2**20
"""Bytes of a node's object store; results of jobs are small."""


class Node:
    """One `ray start`: a raylet, its workers, and with the first one the cluster's head."""

    def __init__(self, name: str, process: subprocess.Popen):
        self.name, self.process = name, process

    def pids(self) -> set[int]:
        return {process.pid for process in family(self.process.pid)}

    def lose(self) -> int:
        """Kill every process of the node without a warning; return how many there were."""
        processes = family(self.process.pid)
        kill(processes)
        return len(processes)


def give_token(home: Path) -> dict[str, str]:
    """Leave a token in `home`, where Ray looks for it; return the environment that makes Ray ask for it."""
    private(home / ".ray/auth_token", password())
    return {"HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}


@contextmanager
def cluster(folder: Path, names: list[str], environment: dict[str, str]) -> Iterator[tuple[str, list[Node]]]:
    """Run a cluster of a node with one CPU for each of `names`; yield its address and the nodes, the head first.

    A node's processes find its name in CLUSTER_NODE. It has two GPUs, which Ray hands out without looking for them.
    """
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        nodes: list[Node] = []
        for name in names:
            log, given = folder / f"{name}.log", {**environment, "CLUSTER_NODE": name}
            # The nodes share a folder of logs: one of them reads it.
            place = ["--address", address, "--include-log-monitor=false"] if nodes else _head(folder, address)
            deadline = time.monotonic() + GIVE_UP
            while not _joins(process := stack.enter_context(_start(log, place, given)), log):
                # Ray gives a node half a minute, which a busy machine may not keep.
                assert time.monotonic() < deadline, log.read_text()
            nodes.append(Node(name, process))
        yield address, nodes


def _head(folder: Path, address: str) -> list[str]:
    """Return what makes a node the head of a new cluster."""
    port, ports = address.rpartition(":")[2], [f"--ray-client-server-port={free_port()}"]
    return ["--head", "--port", port, *ports, "--include-dashboard=false", "--temp-dir", str(folder / "ray")]


def _start(log: Path, place: list[str], environment: dict[str, str]) -> AbstractContextManager[subprocess.Popen]:
    # Two nodes of one machine cannot share Ray's fixed ports; and a node does not wait for ports that it is told.
    agents = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
    ports = ["--min-worker-port=0", "--max-worker-port=0", *(f"--{agent}-port={free_port()}" for agent in agents)]
    has = ["--num-cpus=1", "--num-gpus=2", f"--object-store-memory={MEMORY}"]
    command = ["ray", "start", "--block", *place, *ports, *has]
    return running(log, *command, env=environment, cwd=log.parent)


def _joins(process: subprocess.Popen, log: Path) -> bool:
    """Wait until the node that `process` starts belongs to the cluster; tell whether it does."""
    deadline = time.monotonic() + GIVE_UP
    while process.poll() is None and time.monotonic() < deadline:
        if "Ray runtime started" in log.read_text():
            return True
        time.sleep(0.5)
    return False


def count(address: str, environment: dict[str, str]) -> int | None:
    """Return how many nodes of the cluster are alive, or None where it does not tell."""
    code = (
        "import sys; from ray._raylet import GcsClient;"
        "nodes = GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10).values();"
        "print(sum(node.state == 0 for node in nodes))"
    )
    done = subprocess.run(["python", "-c", code, address], env=environment, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
