"""A tracking server that fails in the middle of a training, or at its start: behind a proxy that can fail in five ways.

Whatever it does, the training asks it a few times and gives each request up after seconds, and the same command, once
the server is back, completes its record: one run, every epoch of every metric once.
"""

import http.client
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conftest import Project, shrunk, tracking_server
from tests.interrupt import GIVE_UP, Breakpoint
from tests.torture.outcome import Outcome

EPOCHS = 4
ASKED = 2 * (EPOCHS + 3)
"""How often a training may ask a server that fails in the middle: each request twice, those of the end counted in."""
ASKED_SLOW = 80
"""... and one that answers slowly: some fifty times for the run, and once for each of the model's 26 files."""
LONGEST = 60
"""Seconds that a request may wait for its answer: those of the project are few, MLflow's own are 120."""
HOURS = "7200"
WAYS = {
    "refuses connections": "refuse",
    "takes requests and never answers": "hang",
    "answers after half a second": "slow",
    "answers 500": "500",
    "answers 429, come back in two hours": "429",
}


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Train with each way to fail: from the start, from the second epoch on, and from the second to the third."""
    with tracking_server(folder) as address:
        proxy = _Proxy(address.removeprefix("http://"))
        project = _project(folder / "project", proxy.address)
        breakpoints = [Breakpoint(project, epoch, trainings=0) for epoch in (2, 3)]
        ways = dict(list(WAYS.items())[1:2]) if short else WAYS
        for way, mode in ways.items():
            for when in ("end",) if short else ("start", "end", "third"):
                experiment = f"{mode} {when}"
                project.edit("conf/tracking/server.yaml", "^experiment: .*", f"experiment: {experiment}")
                kind = {"start": f"server {way}, at the start"}.get(when, f"server {way}, in the middle")
                yield Outcome(kind, _lost(project, proxy, mode, when, breakpoints) or _wrong(address, experiment))
        proxy.shutdown()
        proxy.server_close()


def _lost(project: Project, proxy: "_Proxy", mode: str, when: str, breakpoints: list[Breakpoint]) -> str | None:
    """Train under the fault, and again without it; return what was not as it should be."""
    shutil.rmtree(project.path("outputs/checkpoints"), ignore_errors=True)
    proxy.forget()
    try:
        _train(project, proxy, mode, when, breakpoints)
    except subprocess.TimeoutExpired:
        return "did not end"
    most = ASKED_SLOW if mode == "slow" else 2 if when == "start" else ASKED
    if proxy.asked > most or proxy.longest > LONGEST:
        return f"asked {proxy.asked} times, and waited for {proxy.longest:.0f} s at most"
    proxy.mode = None
    done = project.stage("train", check=False, DVC_STAGE="train")
    good = done.returncode == 0 and "Traceback" not in done.stderr
    return None if good else f"exit code {done.returncode}: {done.stdout[-300:]} {done.stderr[-1500:]}"


def _train(project: Project, proxy: "_Proxy", mode: str, when: str, breakpoints: list[Breakpoint]) -> None:
    """Train while the proxy fails: it begins to, or stops, while the training stands."""
    second, third = breakpoints
    proxy.mode = mode if when == "start" else None
    # Samples of the machine's load would be requests whose number the clock decides.
    environment = ("DVC_STAGE=train", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL=3600")
    if when != "start":
        second.arm()
    if when == "third":
        third.arm()
    with project.start("env", *environment, "python", "-m", "pipeline.train", real=False) as training:
        try:
            if when != "start":
                stopped = second.wait(training)
                proxy.mode = mode
                second.resume(stopped)
            if when == "third":
                stopped = third.wait(training)
                assert proxy.met.wait(GIVE_UP), "no request met the fault"
                proxy.mode = None
                third.resume(stopped)
            training.communicate(timeout=GIVE_UP)
        finally:
            training.kill()


def _project(folder: Path, address: str) -> Project:
    folder.mkdir()
    project = shrunk(folder)
    project.edit("params.yaml", "epochs: 1", f"epochs: {EPOCHS}")
    project.edit("params.yaml", "tracking: local", "tracking: server")
    project.edit("conf/tracking/server.yaml", "^uri: .*", f"uri: {address}")
    for stage in ("download", "preprocess"):
        project.stage(stage)
    return project


def _wrong(address: str, experiment: str) -> str | None:
    """Return what is wrong with the one run of the server's `experiment`."""
    from mlflow import MlflowClient

    from pipeline.tracking.epochs import CURVES

    client = MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    if [run.info.status for run in runs] != ["FINISHED"]:
        return f"runs are {[run.info.status for run in runs]}"
    run_id = runs[0].info.run_id
    for key in CURVES:
        if (steps := [m.step for m in client.get_metric_history(run_id, key)]) != [*range(1, EPOCHS + 1)]:
            return f"{key} has the epochs {steps}"
    files = {file.path for file in client.list_artifacts(run_id)}
    return None if {"model.h5", "history.csv", "run.json"} <= files else f"the run's files are {files}"


class _Proxy(ThreadingHTTPServer):
    """Hands requests on to an MLflow server of this machine, or fails as `mode` says."""

    daemon_threads = True

    def __init__(self, server: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.mode, self.met = server, None, threading.Event()
        self.forget()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def forget(self) -> None:
        """Count anew the requests that fail, and the longest wait of one."""
        self.asked, self.longest = 0, 0.0
        self.met.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that gave up."""


_FRAMING = {"connection", "content-length", "date", "server", "transfer-encoding"}
"""Headers that a proxy writes itself."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        if self.server.mode == "refuse":
            self._fail("refuse")
        else:
            super().handle_one_request()

    def _fail(self, mode: str) -> bool:
        """Do what a server does that fails as `mode` says; tell whether it answers all the same."""
        self.server.asked += 1
        self.server.met.set()
        if mode in ("500", "429"):
            self._send(int(mode), {"Retry-After": HOURS}, b"{}")
        if mode == "slow":
            time.sleep(0.5)
        if mode == "hang":
            since = time.monotonic()
            while self.server.mode == "hang" and not select.select([self.connection], [], [], 0.1)[0]:
                self.server.longest = max(self.server.longest, time.monotonic() - since)
        self.close_connection = mode in ("refuse", "hang")
        return mode == "slow"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = self.server.mode
        if mode and not self._fail(mode):
            return
        onward = http.client.HTTPConnection(self.server.behind, timeout=60)
        onward.request(self.command, self.path, body, dict(self.headers))
        answer = onward.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _FRAMING}
        self._send(answer.status, headers, answer.read())
        onward.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
