"""Identifies the process of a run, and checks whether it is still alive."""

import os
import socket


def mark() -> str:
    """Return an identifier of this process: host name, process id, and start time in seconds since 1970."""
    import psutil

    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def is_dead(mark: str) -> bool:
    """Return whether `mark` identifies a process of this machine that has ended; False for other machines."""
    host, pid, started = [*mark.split(" "), "", "", ""][:3]
    return host == socket.gethostname() and not _is_running(int(pid), int(started or 0))


def _is_running(pid: int, started: int) -> bool:
    """Return whether the process with this start time is running: another one may have the same id now."""
    import psutil

    try:
        return psutil.pid_exists(pid) if not started else abs(psutil.Process(pid).create_time() - started) < 5
    except psutil.NoSuchProcess:
        return False
