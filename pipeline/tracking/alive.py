"""Identifies the process of a run, and checks whether it is still alive."""

import os
import re
import socket


def mark() -> str:
    """Return an identifier of this process: host name, process id, and seconds from the machine's start to its own."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid()):.0f}"


def is_dead(mark: str) -> bool:
    """Return whether `mark` identifies a process of this machine that has ended; False for other machines and texts."""
    import psutil

    found = re.fullmatch(rf"{re.escape(socket.gethostname())} (\d{{1,9}}) (\d+)", mark)
    if not found:
        return False
    try:
        return abs(_started(int(found[1])) - int(found[2])) > 5  # another process may have the same id now
    except psutil.NoSuchProcess:
        return True


def _started(pid: int) -> float:
    """Return when the process started, in seconds since the machine did: a change of the clock does not move it."""
    import psutil

    return psutil.Process(pid).create_time() - psutil.boot_time()
