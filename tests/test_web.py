"""The servers of the page and the service: how they start and end."""

import signal
import subprocess
import sys

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


def test_ctrl_c_ends_a_server_without_a_word():
    command = [sys.executable, "-c", APP, str(free_port())]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
