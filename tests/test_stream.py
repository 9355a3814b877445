"""A camera's address: the newest frame is read, after a drop again, and no password is printed."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.faces import frames
from pipeline.predict import stream

STEP = 0.05


class Camera(BaseHTTPRequestHandler):
    """Sends JPEG frames that grow lighter with time, as cameras do; drops the connection after some frames."""

    started, sent = 0.0, 10**9

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(self.sent):
            picture = cv2.imencode(".jpg", np.full((48, 64, 3), level(self.started), np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return
            time.sleep(STEP)

    def log_message(self, *arguments):
        pass


def level(started: float) -> int:
    """Return the grey level at this time: 10 more each second."""
    return min(250, int(10 * (time.monotonic() - started)))


@pytest.fixture
def server():
    """Return a class of handlers, and the address of a server that uses it."""
    handler = type("OneCamera", (Camera,), {"started": time.monotonic()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://user:secret@127.0.0.1:{server.server_port}/video.mjpg"
    server.shutdown()
    server.server_close()


def test_the_newest_frame_is_read(server):
    handler, address = server
    newest = stream.newest(address)
    next(newest)
    time.sleep(3)  # 60 frames come
    for _ in range(2):  # the first one may have been decoded a moment before
        grey = int(next(newest).mean())
    assert grey >= level(handler.started) - 10
    newest.close()


def test_after_a_drop_the_stream_is_opened_again_without_a_password_in_any_line(server, capfd):
    handler, address = server
    handler.sent = 8
    newest = stream.newest(address)
    before = int(next(newest).mean())
    deadline = time.monotonic() + 60
    while "connecting again" not in (printed := capfd.readouterr().err) and time.monotonic() < deadline:
        next(newest)
    newer = [int(next(newest).mean()) for _ in range(3)]
    assert newer[-1] > before
    newest.close()
    assert "warning: http://***@127.0.0.1:" in printed
    assert "secret" not in printed + "".join(capfd.readouterr())


def test_a_server_that_sends_nothing_is_an_error_soon(capfd, monkeypatch):
    monkeypatch.setattr(frames, "TIMEOUT", 1)
    silent = socket.create_server(("127.0.0.1", 0))
    started = time.monotonic()
    with pytest.raises(PipelineError, match=r"http://127.0.0.1:\d+/ cannot be opened"):
        next(stream.newest(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
    assert time.monotonic() - started < 20
    assert capfd.readouterr() == ("", "")
    silent.close()


def test_a_stream_that_stays_silent_ends_with_an_error(server, monkeypatch):
    handler, address = server
    monkeypatch.setattr(stream, "PATIENCE", 2)
    monkeypatch.setattr(frames, "TIMEOUT", 1)
    handler.sent = 8
    newest = stream.newest(address)
    next(newest)
    handler.do_GET = lambda self: time.sleep(3)
    with pytest.raises(PipelineError, match="has sent no frame for 2 seconds"):
        list(newest)
