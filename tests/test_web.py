"""The servers of the page and the service: how they start and end."""

import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, free_port

APP = """
import sys
from fastapi import FastAPI
from pipeline.web import server

def make():
    app = FastAPI()
    app.get("/health")(lambda: None)
    return app

server.run(make, int(sys.argv[1]), "ready", 5)
"""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_server_without_a_word(times):
    command = [sys.executable, "-c", APP, str(free_port())]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
