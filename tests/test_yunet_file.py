"""YuNet's file is fetched once, from the first address that has it, and anything else is never used."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.faces import detection, yunet_file
from tests import yunet
from tests.conftest import ROOT

CLOSED = "http://127.0.0.1:9/yunet.onnx"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/hanging":
            time.sleep(3)
        if self.path == "/dripping":
            self.send_response(200)
            self.end_headers()
            for _ in range(30):
                self.wfile.write(b"x")
                time.sleep(0.1)
        content = {"/good": yunet.FILE.read_bytes, "/cut": lambda: yunet.FILE.read_bytes()[:-9]}.get(self.path)
        if self.path == "/endless":
            content = lambda: b"x" * 3_000_000  # noqa: E731
        if content:
            self.send_response(200)
            self.send_header("Content-Length", str(232_589 if self.path != "/endless" else 3_000_000))
            self.end_headers()
            self.wfile.write(content())
        else:
            self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fer2013-pipeline" / yunet_file.NAME


@yunet.needed
def test_it_is_fetched_once_with_a_line_that_says_what_and_under_which_licence(server, cache, capsys):
    for _ in range(2):
        assert yunet_file.read([f"{server.url}/good"]) == yunet.FILE.read_bytes()
    assert server.asked == ["/good"]
    assert capsys.readouterr().err == f"fetching YuNet, the face detector (233 kB, MIT licence), into {cache}\n"
    assert cache.read_bytes() == yunet.FILE.read_bytes()


@yunet.needed
@pytest.mark.parametrize("first", ["/missing", "/cut", "/endless", "closed"])
def test_if_the_first_address_fails_the_second_is_used(server, first):
    address = CLOSED if first == "closed" else server.url + first
    assert yunet_file.read([address, f"{server.url}/good"]) == yunet.FILE.read_bytes()


@yunet.needed
def test_a_file_in_the_cache_that_is_another_one_is_replaced_and_never_used(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(yunet.FILE.read_bytes()[:-1] + b"!")
    with pytest.raises(PipelineError, match="cannot be fetched"):
        yunet_file.read([CLOSED])
    assert yunet_file.read([f"{server.url}/good"]) == yunet.FILE.read_bytes()
    assert cache.read_bytes() == yunet.FILE.read_bytes()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "answers 404"),
        ("/hanging", r"cannot be reached \(ReadTimeout\)"),
        ("/dripping", "is too slow"),
        ("/endless", "answers with another file"),
    ],
)
def test_a_failure_is_one_line_with_the_ways_forward_and_leaves_nothing(server, cache, monkeypatch, path, reason):
    monkeypatch.setattr(yunet_file, "TIMEOUT", 0.5)
    monkeypatch.setattr(yunet_file, "SECONDS", 1)
    started = time.monotonic()
    with pytest.raises(PipelineError, match=reason) as caught:
        yunet_file.read([server.url + path, CLOSED])
    assert time.monotonic() - started < 10
    message = str(caught.value)
    assert message.count("127.0.0.1") == 2
    assert "accepted: --detector haar, which needs no file" in message
    assert str(cache) in message
    assert "\n" not in message
    assert [path.name for path in cache.parent.iterdir()] == [cache.with_suffix(".lock").name]


def test_a_cache_that_cannot_be_written_is_one_line(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(PipelineError, match=r"cannot be kept \(.*/dev/null.*--detector haar"):
        yunet_file.read([CLOSED])


@pytest.mark.parametrize("relative", ["", "relative"])
def test_without_a_cache_of_its_own_it_is_in_the_users_home(monkeypatch, tmp_path, relative):
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(PipelineError, match=f"{tmp_path}/.cache/fer2013-pipeline/{yunet_file.NAME}"):
        yunet_file.read([CLOSED])


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become a user without a home")
def test_a_user_without_a_home_is_told_so():
    code = "import os; from pipeline.faces import yunet_file; os.setuid(4321); yunet_file.read()"
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept, capture_output=True, text=True)
    assert "PipelineError: YuNet, the face detector, cannot be kept (Could not determine home" in done.stderr
    assert "XDG_CACHE_HOME/fer2013-pipeline/" in done.stderr


@yunet.needed
def test_two_processes_at_once_fetch_it_once(server, cache):
    code = f"from pipeline.faces import yunet_file; print(len(yunet_file.read(['{server.url}/good'])))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in started] == ["232589\n"] * 2
    assert server.asked == ["/good"]


def test_a_face_of_48x48_pixels_needs_no_detector(cache):

    detect = detection.load(when_needed=True)
    assert len(detect(np.zeros((48, 48, 3), np.uint8))) == 1
    assert not cache.parent.exists()
