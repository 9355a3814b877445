"""The servers that the project's commands start listen on this machine alone."""

import os
import signal

import psutil
import pytest

from tests.conftest import SECONDS, free_port, wait_until_healthy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("finished")]

SERVERS = {"ui": ([], "health"), "show": ([], "networks"), "serve": (["models:/synthetic@champion"], "health")}


@pytest.mark.parametrize("command", SERVERS)
def test_no_address_but_this_machines_own_is_listened_on(finished, command):
    arguments, path = SERVERS[command]
    port = free_port()
    server = finished.start("python", "-m", f"pipeline.{command}", *arguments, "--port", str(port))
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server, path)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        listening = {c.laddr for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert listening == {("127.0.0.1", port)}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(SECONDS)
