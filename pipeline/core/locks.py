"""Locks that are released when their process ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core import files
from pipeline.core.errors import PipelineError


@contextmanager
def exclusive(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, or raise PipelineError with the id of the process that already runs `what`.

    With `wait`, print that message and wait until the process ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder, lock = path.with_suffix(".pid"), FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = holder.read_text() if holder.exists() else "unknown"
        message = f"process {pid} already runs {what}"
        if not wait:
            raise PipelineError(f"{message}; wait until it ends, or stop it: `kill {pid}`") from None
        print(f"{message}; waiting until it ends; to stop it: `kill {pid}`", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        files.replace(holder, str(os.getpid()).encode())
        yield
    finally:
        lock.release()


def file_lock(path: Path) -> FileLock:
    """Return the lock `path`, for a `with` statement, which waits until the lock is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
