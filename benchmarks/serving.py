"""Load on the service with a trained network."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from pipeline.core import paths
from pipeline.download import synthetic

REQUESTS, ROUNDS, PORT = 100, 3, 5123


def measure() -> Iterator[dict]:
    """Yield requests/s and milliseconds of an answer, for faces and for photographs, from one client and from eight.

    Served is the recorded run, where its MLflow run is in this checkout.
    """
    if not paths.Outputs().run.exists():
        return
    run = json.loads(paths.Outputs().run.read_text())["mlflow_run_id"]
    command = [sys.executable, "-m", "pipeline.serve", run, "--port", str(PORT)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=paths.ROOT, start_new_session=True, **quiet)
    try:
        _wait(server)
        face = synthetic.render(np.zeros(1, int), np.random.default_rng(0))[0]
        photograph = np.full((480, 640), 150, np.uint8)
        photograph[120:360, 200:440] = cv2.resize(face, (240, 240))
        for what, picture in (("a face of 48x48", face), ("a photograph of 640x480", photograph)):
            body = _body(picture)
            _answers(body, 8, REQUESTS)  # warms up
            for clients in (1, 8):
                rounds = [_answers(body, clients, REQUESTS) for _ in range(ROUNDS)]
                named = f"{what}, {clients} client{'s' if clients > 1 else ''}"
                yield {"what": named, "unit": "requests/s", "values": [r["rate"] for r in rounds]}
                yield {"what": "... median", "unit": "ms", "values": [1000 * np.median(r["seconds"]) for r in rounds]}
                tail = [1000 * np.percentile(r["seconds"], 99) for r in rounds]
                yield {"what": "... 99th percentile", "unit": "ms", "values": tail}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _body(picture: np.ndarray) -> bytes:
    encoded = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    return json.dumps({"dataframe_split": {"columns": ["image"], "data": [[encoded]]}}).encode()


def _answers(body: bytes, clients: int, requests: int) -> dict:
    def ask(_: int) -> float:
        began = time.perf_counter()
        address = f"http://127.0.0.1:{PORT}/invocations"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)
        return time.perf_counter() - began

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(ask, range(requests)))
    return {"seconds": seconds, "rate": requests / (time.perf_counter() - started)}


def _wait(server: subprocess.Popen) -> None:
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("the server does not answer")
