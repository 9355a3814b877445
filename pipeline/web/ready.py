"""Waits for a server of this machine."""

import time
import urllib.request
from collections.abc import Callable

SECONDS = 120
"""How long a server may take to answer."""


def answers(server: str, running: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the address `server` answers for /health; return False if it does not, or stops `running` before."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would answer for another machine
    end = time.monotonic() + SECONDS
    while running() and time.monotonic() < end:
        try:
            with direct.open(f"{server}/health", timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False
