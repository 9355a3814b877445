"""Runs a server for this machine, with limits on connections and their time."""

import asyncio
import functools
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.core.errors import PipelineError
from pipeline.web import ready

CONNECTIONS = 500
"""Connections at a time; a request beyond them gets status 503."""
ARRIVAL = 30
"""Seconds for a request to arrive, and for its answer to be read."""
HEADERS = [
    ("Connection", "close"),  # so that each connection has one request, and its limits of time
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
]


def check_free(port: int) -> None:
    """Raise PipelineError if no server can listen on `port` of this machine."""
    if not 1 <= port <= 65535:
        raise PipelineError(f"--port {port}; accepted: 1 to 65535")
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise PipelineError(f"port {port} cannot be used ({error}); accepted: --port with a free one") from error


def run(app: str | Callable[[], ASGIApp], port: int, message: str, seconds: int, workers: int = 1) -> None:
    """Serve the app that `app` makes on 127.0.0.1 until Ctrl-C, and print `message` when it answers.

    An answer may take `seconds`. With more than one of `workers`, processes, `app` is "module:function".
    """
    threading.Thread(target=_announce, args=(f"http://127.0.0.1:{port}", message), daemon=True).start()
    connection = functools.partial(_Connection, lifetime=seconds + 2 * ARRIVAL)
    uvicorn.run(
        app,
        factory=True,
        port=port,
        workers=workers,
        http=connection,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",  # no app has one, and a second Ctrl-C would print its end as an error
        headers=HEADERS,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        log_level="error",
    )


def _announce(server: str, message: str) -> None:
    if ready.answers(server):
        print(message, flush=True)


class _Connection(H11Protocol):
    """A connection with an end: uvicorn waits as long as a client likes for a request, and for an answer to be read."""

    def __init__(self, *args: Any, lifetime: float, **options: Any):
        super().__init__(*args, **options)
        self.lifetime = lifetime

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.ends = [self.loop.call_later(ARRIVAL, self._end_incomplete)]
        self.ends += [self.loop.call_later(self.lifetime, transport.abort)]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for end in self.ends:
            end.cancel()

    def _end_incomplete(self) -> None:
        if self.cycle is None or self.cycle.more_body:
            self.transport.close()
