"""Programs that run beside a test, each ended with all that it started."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def password() -> str:
    return secrets.token_urlsafe(24)


@contextmanager
def running(log: Path, *command: str, stop: int = signal.SIGTERM, **options) -> Iterator[subprocess.Popen]:
    """Run `command`, its output in the file `log`; at the end send it `stop`, and then kill what is left of it."""
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield process
    finally:
        started = family(process.pid)
        if process.poll() is None:
            os.killpg(process.pid, stop)
        psutil.wait_procs(started, timeout=10)
        kill(started)
        process.wait()


def family(pid: int) -> list[psutil.Process]:
    """Return the process `pid` and all that it started, directly or not."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill them at once, as the loss of a machine would."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


@contextmanager
def scratch() -> Iterator[Path]:
    """Return a folder that is gone afterwards, and so is every process that names it."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o711)  # PostgreSQL's own user passes through
    try:
        yield folder
    finally:
        kill([p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])])
        shutil.rmtree(folder)
