"""Which process a run belongs to, and whether it is still there."""

import os
import socket


def mark() -> str:
    """Return what names this process: its machine, its number and when it began, in seconds since 1970."""
    import psutil

    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def is_dead(mark: str) -> bool:
    """Tell whether `mark` is that of a process of this machine that is gone; of other machines nothing is known."""
    host, pid, started = [*mark.split(" "), "", "", ""][:3]
    return host == socket.gethostname() and not _runs(int(pid), int(started or 0))


def _runs(pid: int, started: int) -> bool:
    """Tell whether the process runs that began then: its number may have gone to another one."""
    import psutil

    try:
        return psutil.pid_exists(pid) if not started else abs(psutil.Process(pid).create_time() - started) < 5
    except psutil.NoSuchProcess:
        return False
