"""The limits on requests: where they come from, their size, and the memory of all of them together."""

import asyncio
import ctypes

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ["127.0.0.1", "localhost"]
"""Another site's page could reach a server through a host name of its own that resolves to this machine."""
HELD = 80_000_000
"""Bytes of all bodies that wait for their turn, and of all answers that wait to be read."""
_RETURN_MEMORY = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)
"""A function of Linux: without it, half of what a large picture needed is kept for the next one."""


def guarded(app: ASGIApp, largest: int, seconds: float) -> ASGIApp:
    """Return `app` behind these limits; bodies have at most `largest` bytes, and wait `seconds` for their turn."""
    return TrustedHostMiddleware(_Guard(app, largest, seconds), HOSTS)


class _Guard:
    """Reads each body, and passes one request at a time to the app: requests share the cores and the memory.

    A request whose client is gone loses its turn; one that is already at work is finished.
    """

    def __init__(self, app: ASGIApp, largest: int, seconds: float):
        self.app, self.largest, self.seconds = app, largest, seconds
        self.bodies: dict[Request, int] = {}
        self.answers: dict[Request, int] = {}
        self.turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        try:
            await self._in_turn(request, await self._read(request), send)
        except HTTPException as error:
            await JSONResponse({"detail": error.detail}, error.status_code, error.headers)(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self.bodies.pop(request, None)
            self.answers.pop(request, None)

    async def _read(self, request: Request) -> bytes:
        """Return the body. One that is refused is read too: a client that is still sending would miss the answer."""
        body, refused = bytearray(), _foreign(request.headers)
        async for part in request.stream():
            body += part
            if len(body) > self.largest:
                refused = HTTPException(413, f"the request has more than {self.largest:,} bytes")
            elif not refused and sum(self.bodies.values()) + len(part) > HELD:
                refused = _busy()
            if refused:
                body.clear()
            self.bodies[request] = len(body)
        if refused:
            raise refused
        return bytes(body)

    async def _in_turn(self, request: Request, body: bytes, send: Send) -> None:
        gone = asyncio.ensure_future(request.receive())  # after the body comes only the end of the connection
        turn = asyncio.ensure_future(self.turn.acquire())
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.shield(gone)

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.answers[request] = len(message.get("body", b""))
                message = {**message, "more_body": True}
            await send(message)

        await asyncio.wait({gone, turn}, timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
        try:
            if gone.done():
                raise ClientDisconnect
            if not turn.done() or sum(self.answers.values()) > HELD:
                raise _busy()
            await self.app(request.scope, receive, hold)
        finally:
            gone.cancel()
            if not turn.cancel():
                self.turn.release()
                _RETURN_MEMORY(0)
        await send({"type": "http.response.body"})  # returns once the client has read nearly all of the answer


def _busy() -> HTTPException:
    return HTTPException(503, "the server is busy; accepted: the same request later", {"Retry-After": "5"})


def _foreign(headers: Headers) -> HTTPException | None:
    """Return an error if a browser sends the request for another site's page.

    Browsers say so in Sec-Fetch-Site, old ones in Origin alone; programs send neither.
    """
    own = f"http://{headers.get('host')}"
    site = headers.get("sec-fetch-site") or ("none" if headers.get("origin", own) == own else "cross-site")
    return None if site in ("same-origin", "none") else HTTPException(403, "another site's page may not send requests")
