"""The page and the service under attack: each request is answered or its connection ended, and memory is bounded.

After each attack the server answers as before it, with the memory that it had before, but for what the first pictures
take for good.
"""

import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import attacks
from tests.attacks import JSON, invocation, picture
from tests.conftest import Project, free_port, shrunk, wait_until_healthy
from tests.processes import running
from tests.torture.outcome import Outcome

LIMIT, GROWTH = 1536, 150
"""MiB that a server may have at any time, and that it may have more after an attack than before."""
ENDED = 45
"""Seconds after which the connection of a slow client is ended: uvicorn itself never ends it."""
ENDS = ("ConnectionResetError", "BrokenPipeError")
"""How a client that is still sending learns that the connection has ended."""
FACE = picture(48, 48)
BOMB, LARGEST = picture(9999, 9999), picture(6000, 6000, "RGBA")
"""100 million pixels in 12 kB, which are refused, and as many as are accepted, in memory as large as can be."""


class Server(NamedTuple):
    """A server that runs, where it takes pictures, how, and the most bytes that it takes."""

    name: str
    port: int
    pid: int
    path: str
    body: Callable[..., bytes]
    most: int


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Attack both servers in each way, with few clients if `short`."""
    project = shrunk(folder)
    for stage in ("download", "preprocess", "train"):
        project.stage(stage)
    for server in _servers(project):
        attacks.in_a_row(20, server.port, server.path, server.body(FACE), **JSON)  # what is loaded once, is loaded
        _large(server)
        for name, attack in _attacks(short).items():
            if not (short and attack is _slow and server.name == "show"):  # it takes half a minute
                yield Outcome(f"{server.name}: {name}", _lost(server, attack))
        printed = project.path(f"{server.name}.txt").read_text()
        yield Outcome(f"{server.name}: lines printed", None if printed.count("\n") == 1 else printed[-2000:])


def _servers(project: Project) -> Iterator[Server]:
    """Yield the service and then the page, each while it runs, with the model of the project's run."""
    run = json.loads(project.path("results/run.json").read_text())["mlflow_run_id"]
    with _running(project, "serve", run) as (port, pid):
        yield Server("serve", port, pid, "/invocations", invocation, 20_000_000)
    with _running(project, "show") as (port, pid):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/models") as answer:
            model = json.load(answer)[0]["key"]
        yield Server("show", port, pid, f"/picture?model={model}", lambda *pictures: pictures[0], 30_000_000)


@contextmanager
def _running(project: Project, name: str, *arguments: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", f"pipeline.{name}", *arguments, "--port", str(port), "--detector", "haar"]
    place = {"cwd": project.folder, "env": project.environment()}
    with running(project.path(f"{name}.txt"), *command, **place) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}", process)
        yield port, process.pid


def _attacks(short: bool) -> dict[str, Callable[[Server], str | None]]:
    """Return what is done to a server, each with a function that returns what was wrong with the answers."""
    clients, many = (20, 100) if short else (200, 5000)
    return {
        "bombs at once": lambda s: _only({400, 503}, _at_once(s, 20, s.body(BOMB))),
        "bombs in one request": lambda s: _only({400}, _at_once(s, 1, s.body(*[BOMB] * 8))),
        "large pictures at once": _large,
        f"{clients} clients at once": lambda s: _only({200}, _at_once(s, clients, s.body(FACE))),
        f"{many:,} requests in a row": lambda s: _only({200}, _in_a_row(s, many, s.body(FACE))),
        "bodies too large at once": lambda s: _only({413, 503}, _at_once(s, 20, bytes(2 * s.most))),
        "bodies as large as accepted at once": lambda s: _only({400, 503}, _at_once(s, 20, bytes(s.most))),
        "headers too large": lambda s: _only({400, *ENDS}, _at_once(s, 20, FACE, **{"X": "x" * 2_000_000})),
        "requests that are no pictures": lambda s: _only({400}, _at_once(s, clients, b"{" * 100_000)),
        "requests of another site": lambda s: _only({403}, _at_once(s, clients, FACE, Origin="http://other.example")),
        f"{many:,} clients killed": lambda s: attacks.killed(many, s.port, s.path, s.body(FACE), **JSON),
        "large pictures of clients killed": lambda s: attacks.killed(20, s.port, s.path, s.body(LARGEST), **JSON),
        "200 clients that send slowly or read nothing": _slow,
    }


def _large(server: Server) -> str | None:
    return _only({200}, _at_once(server, 4, server.body(LARGEST)))


def _slow(server: Server) -> str | None:
    waiting = [client for sent in ("head", "body") for client in attacks.slow(80, server.port, server.path, sent)]
    deaf = attacks.deaf(40, server.port, server.path, server.body(FACE), **JSON)
    wrong = _only({200}, _at_once(server, 1, server.body(FACE)))
    ended = attacks.closed(waiting, ENDED)
    for client in deaf:
        client.close()
    return wrong or (None if ended else "connections of slow clients stay")


def _healthy(server: Server) -> str | None:
    """Return what is wrong with an answer after all that nobody waits for; a server may be busy for some seconds."""
    for _ in range(10):
        if not (wrong := _only({200}, _at_once(server, 1, server.body(FACE)))):
            break
        time.sleep(1)
    return wrong


def _at_once(server: Server, times: int, body: bytes, **headers: str) -> Counter[int | str]:
    return attacks.at_once(times, server.port, server.path, body, **JSON, **headers)


def _in_a_row(server: Server, times: int, body: bytes) -> Counter[int | str]:
    return attacks.in_a_row(times, server.port, server.path, body, **JSON)


def _only(accepted: set[int | str], found: Counter[int | str]) -> str | None:
    """Return what else came."""
    wrong = {status for status in found if status not in accepted}
    return f"{dict(found)}; accepted: {accepted}" if wrong else None


def _lost(server: Server, attack: Callable[[Server], str | None]) -> str | None:
    before = attacks.memory(server.pid)
    with attacks.peak(server.pid) as seen:
        wrong = attack(server)
        healthy = _healthy(server)
    time.sleep(1)
    after = attacks.memory(server.pid)
    print(f"memory: {before:.0f} MiB, {max(seen):.0f} at most, {after:.0f} after it", flush=True)
    if max(seen) > LIMIT or after > before + GROWTH:
        return f"memory was {before:.0f} MiB, then {max(seen):.0f}, and {after:.0f} at the end"
    return wrong or healthy
