"""Locks that end with the process that holds them."""

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
    """Hold the lock file `path`, or raise PipelineError, naming the process that does `what` already.

    With `wait` it waits until that one has ended, and says so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder, lock = path.with_suffix(".pid"), FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = holder.read_text() if holder.exists() else "unknown"
        known = f"process {pid} does {what} already"
        if not wait:
            raise PipelineError(f"{known}; wait until it has ended, or `kill {pid}`") from None
        print(f"{known}; this one waits until it has ended, or `kill {pid}`", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        files.replace(holder, str(os.getpid()).encode())
        yield
    finally:
        lock.release()


def file_lock(path: Path) -> FileLock:
    """Return the lock `path`, to be held with `with`; taking it waits for its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
