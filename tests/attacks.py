"""What clients do to a server of this machine that they do not mean well with, or that are lost."""

import base64
import http.client
import io
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import psutil
from PIL import Image

from tests.conftest import SECONDS
from tests.processes import family

JSON = {"Content-Type": "application/json"}


def picture(width: int, height: int, mode: str = "1") -> bytes:
    """Return a blank picture as .png: few bytes, many pixels."""
    content = io.BytesIO()
    Image.new(mode, (width, height)).save(content, "PNG")
    return content.getvalue()


def invocation(*pictures: bytes) -> bytes:
    """Return the body with which the service is asked about pictures."""
    return json.dumps({"inputs": [base64.b64encode(each).decode() for each in pictures]}).encode()


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int | str, str]:
    """Return the status and the content of the answer; or how the connection ended, without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return type(error).__name__, ""
    finally:
        connection.close()


def at_once(times: int, port: int, path: str, body: bytes, **headers: str) -> Counter[int | str]:
    """Send the same request from so many clients at a time; return how often each status came."""
    with ThreadPoolExecutor(times) as clients:
        return Counter(clients.map(lambda _: post(port, path, body, **headers)[0], range(times)))


def in_a_row(times: int, port: int, path: str, body: bytes, **headers: str) -> Counter[int | str]:
    return Counter(post(port, path, body, **headers)[0] for _ in range(times))


def killed(times: int, port: int, path: str, body: bytes, **headers: str) -> None:
    """Send the request from so many clients that are gone at once."""
    head = _head(path, len(body), headers)
    for _ in range(times):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head + b"\r\n" + body)


def slow(times: int, port: int, path: str, sent: str) -> list[socket.socket]:
    """Return so many connections that have `sent` a part of a request: of its "head", or of its "body"."""
    head = _head(path, 1000, JSON)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(times)]
    for client in clients:
        client.sendall(head[:-20] if sent == "head" else head + b"\r\n{")
    return clients


def deaf(times: int, port: int, path: str, body: bytes, **headers: str) -> list[socket.socket]:
    """Return so many connections whose clients have sent a request and read no answer."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(times)]
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(_head(path, len(body), headers) + b"\r\n" + body)
    return clients


def closed(clients: list[socket.socket], seconds: float) -> bool:
    """Return whether the server ends all connections within `seconds`."""
    end = time.monotonic() + seconds
    for client in clients:
        client.settimeout(max(0.1, end - time.monotonic()))
        try:
            while client.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            continue
        finally:
            client.close()
    return True


def memory(pid: int) -> float:
    """Return the memory of the process and all that it started, in MiB."""
    total = 0
    for process in family(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


@contextmanager
def peak(pid: int) -> Iterator[list[float]]:
    """Yield a list with the memory of the process and all that it started, in MiB, looked at 50 times a second."""
    seen, done = [memory(pid)], Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(memory(pid))

    watching = Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


def _head(path: str, length: int, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}"]
    return "".join(f"{line}\r\n" for line in [*lines, *(f"{k}: {v}" for k, v in headers.items())]).encode()
