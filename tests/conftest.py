"""Copies of the project, small enough to run all of it in a test."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forks
from tests.processes import running

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("conf", "pipeline", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore")


SECONDS = 600
"""How long a server or a page may take before a test gives up."""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until_healthy(address: str, server: subprocess.Popen, path: str = "health") -> None:
    """Wait until the server at `address`, which is the process `server`, answers for `path`: an MLflow server's."""
    deadline = time.monotonic() + SECONDS
    while True:
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{address}/{path}", timeout=2)
            return
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.3)


def listening(port: int) -> set[tuple[str, int]]:
    """Return all addresses at which the server at `port` listens, with all processes of its group."""
    found = [c for c in psutil.net_connections("inet") if c.pid and c.status == psutil.CONN_LISTEN]
    groups = {os.getpgid(c.pid) for c in found if c.laddr.port == port}
    return {tuple(c.laddr) for c in found if os.getpgid(c.pid) in groups}


class Project:
    """A copy of the project in a folder of its own, and what a user does in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(
        self, *command: str, check: bool = True, real: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `command`; with `check`, fail the test, showing what was printed, if it does not exit with 0.

        The project's commands in it run in forks of tests/forks/, unless `real`, or with settings that
        TensorFlow reads when it is imported.
        """
        given = self._given(command, real, environment)
        done = subprocess.run(**given, capture_output=True)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, *command: str, real: bool = True) -> subprocess.Popen:
        """Start `command` as the leader of a process group of its own, its output to be read line by line.

        Unless `real`, the project's commands in it run in forks: in the group, and no children of what is returned.
        """
        return subprocess.Popen(**self._given(command, real, {}), stdout=subprocess.PIPE, process_group=0)

    def _given(self, command: tuple[str, ...], real: bool, environment: dict[str, str]) -> dict[str, Any]:
        """Return what `subprocess` is given for `command`."""
        real = real or "FORKS" not in os.environ or any(name.startswith("TF_") for name in environment)
        environment = self.environment(environment)
        if not real:
            environment["PATH"] = f"{os.environ['FORKS']}:{environment['PATH']}"
            command = ("python" if command[0] == sys.executable else command[0], *command[1:])
        return {"args": command, "cwd": self.folder, "env": environment, "text": True}

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        dropped = ("DVC_", "MLFLOW_", "FER2013_", "PROJECT_ROOT", "KAGGLE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **(more or {})}

    def stage(self, name: str, *overrides: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command `name`; `options` are those of `run`."""
        return self.run(sys.executable, "-m", f"pipeline.{name}", *overrides, **options)

    def repro(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", "repro", *arguments, **options)

    def path(self, name: str) -> Path:
        return self.folder / name

    def edit(self, name: str, pattern: str, replacement: str) -> None:
        """Replace what `pattern` matches, once, in the file `name`."""
        text, n = re.subn(pattern, replacement, self.path(name).read_text(), flags=re.MULTILINE)
        assert n == 1, f"{pattern!r} stands {n} times in {name}"
        self.path(name).write_text(text)

    def files(self) -> set[str]:
        """Return the names of all files but those of DVC and Python themselves."""
        found = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())
        return {name for name in found if not name.startswith((".dvc/", ".git/")) and "__pycache__" not in name}


@contextlib.contextmanager
def tracking_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Serve the MLflow store in `folder`, a new one or the one there is, and yield the address; at the end kill it.

    What the server says stands in `folder`/server.txt.
    """
    port = port or free_port()
    store = [f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "server")]
    command = ["python", "-m", "mlflow", "server", "--backend-store-uri", *store, "--workers", "1", "--port", str(port)]
    environment = Project(folder).environment({"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONUNBUFFERED": "1"})
    with running(folder / "server.txt", *command, stop=signal.SIGKILL, env=environment) as server:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"


def shrunk(folder: Path) -> Project:
    """Return the project in `folder` with 84 drawn faces, one epoch and a small network of the seed's shape."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)
    project = Project(folder)
    faces = project.path("conf/data/synthetic.yaml")
    faces.write_text(re.sub(r"\[\d+, \d+, \d+\]", "[8, 2, 2]", faces.read_text()))
    project.edit("params.yaml", r"data: fer2013", "data: synthetic")
    project.edit("params.yaml", r"epochs: \d+", "epochs: 1")
    project.edit("params.yaml", r"batch_size: \d+", "batch_size: 8")
    project.edit("params.yaml", r"latency_runs: \d+", "latency_runs: 5")
    project.edit("params.yaml", r"corrupted_images: \d+", "corrupted_images: 20")
    project.edit("conf/model/seed_cnn.yaml", r"filters: 64", "filters: 4")
    return project


def with_dvc(project: Project, git: bool = False) -> Project:
    """Make `project` a DVC project; DVC's experiments need git as well."""
    if git:
        project.run("git", "init", "-q", "-b", "main")
        project.run("git", "config", "user.name", "test")
        project.run("git", "config", "user.email", "test@example.invalid")
    project.run("dvc", "init", "-q", *([] if git else ["--no-scm"]))
    project.run("dvc", "config", "core.analytics", "false")
    if git:
        project.run("git", "add", "-A")
        project.run("git", "commit", "-qm", "project")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a shrunken copy of the project, without DVC."""
    return shrunk(tmp_path)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Return the function that makes a shrunken copy of the project in a new folder of the given name."""
    return lambda name: shrunk(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def finished(new_project: Callable[[str], Project]) -> Project:
    """Return a shrunken copy in which `dvc repro` has run; tests leave it as it is.

    Its model predicts several classes: with one epoch, or seed 42, it is no champion.
    """
    made = new_project("finished")
    made.edit("params.yaml", r"epochs: \d+", "epochs: 3")
    made.edit("params.yaml", r"^seed: \d+", "seed: 2")
    with_dvc(made)
    made.repro()
    return made


@pytest.fixture
def config() -> Callable[..., "object"]:
    """Return the function that composes this checkout's configuration with overrides."""
    from pipeline.core.config import compose

    return lambda *overrides: compose(list(overrides))[0]


def pytest_configure(config: pytest.Config) -> None:
    """Start the fork server, which all workers share, in the process that starts them, if tests of processes run."""
    if sys.platform == "linux" and "FORKS" not in os.environ and "not process" not in config.option.markexpr:
        stack = contextlib.ExitStack()
        config.add_cleanup(stack.close)
        os.environ["FORKS"] = str(stack.enter_context(forks.running()))
        stack.callback(os.environ.pop, "FORKS")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests on copies of the project, whose commands are processes.

    Start the slow tests first: the last to end would otherwise run alone, beside idle workers.
    """
    for item in items:
        if {"project", "new_project"} & set(item.fixturenames):
            item.add_marker("process")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes and long texts after their argument: gzip's bytes hold the time, and each worker would have others."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 80) else None
