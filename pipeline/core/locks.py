"""Locks that end with the process that holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import PipelineError


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`, or raise PipelineError, naming the process that does `what` already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".pid")
    try:
        with FileLock(path, timeout=0):
            holder.write_text(str(os.getpid()))
            yield
    except Timeout:
        pid = holder.read_text() if holder.exists() else "unknown"
        raise PipelineError(f"process {pid} does {what} already; wait until it has ended, or `kill {pid}`") from None


def waiting(path: Path) -> FileLock:
    """Return the lock `path`, to be held with `with`; taking it waits for its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
