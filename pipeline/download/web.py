"""Downloads over http and https, resumed after a lost connection, limited in size; messages contain no secrets."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.core.redact import redact

if TYPE_CHECKING:
    import requests

MAX_BYTES = 4 * 10**9
ATTEMPTS = 4
SECONDS_BETWEEN_ATTEMPTS = 1
"""The wait before the second attempt; it doubles before each later one."""
TIMEOUT = 10, 60
"""Seconds to wait for a connection, and for the next bytes."""
CHUNK = 2**18


class _LostError(Exception):
    """The connection failed or ended early; another attempt may succeed."""


def without_secrets(address: str) -> str:
    """Return `address` without user, password, query and fragment, any of which may be a secret.

    Raises PipelineError if it is not http or https.
    """
    scheme = address.partition("://")[0]
    if scheme.lower() not in ("http", "https"):
        raise PipelineError(f"the address starts with {scheme}://; accepted: http, https, or a path")
    return redact(address).partition("#")[0]


def fetch(address: str, target: Path) -> None:
    """Download `address` into the file `target`.

    Resumes a lost connection if the server supports it. Raises PipelineError if all attempts fail, or if the server
    answers with an error or more than MAX_BYTES; the message has the address without secrets.
    """
    import requests

    name, wait = without_secrets(address), SECONDS_BETWEEN_ATTEMPTS
    with requests.Session() as session, target.open("wb") as file:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _receive(session, address, file)
            except PipelineError as error:
                raise PipelineError(f"{name} {error}") from None
            except _LostError as error:
                if attempt == ATTEMPTS:
                    raise PipelineError(f"{name} {error} ({ATTEMPTS} attempts)") from None
                print(f"{name} {error}; trying again in {wait} s", flush=True)
            time.sleep(wait)
            wait *= 2


def _receive(session: "requests.Session", address: str, file: BinaryIO) -> None:
    """Append the missing bytes to `file`. The messages of requests are dropped: they contain the whole address."""
    import requests
    from urllib3.exceptions import HTTPError

    headers = {"Accept-Encoding": "identity"}
    if start := file.seek(0, os.SEEK_END):
        headers["Range"] = f"bytes={start}-"
    try:
        with session.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _store(response, file, start)
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise _LostError(f"cannot be reached, or timed out ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise PipelineError(f"cannot be read ({type(error).__name__})") from None


def _store(response: "requests.Response", file: BinaryIO, done: int) -> None:
    """Write the body of `response` to `file`, which already has the first `done` bytes."""
    status, length = response.status_code, response.headers.get("Content-Length", "")
    resumed = status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
    if status >= 500 or status == 429:
        raise _LostError(f"answers {status} {response.reason}")
    if status not in (200, 206, 416):
        raise PipelineError(f"answers {status} {response.reason}")
    if not resumed:
        file.truncate(0)
        done = file.seek(0)
        if status != 200:
            raise _LostError("cannot resume")
    total = done + int(length) if length.isdigit() else None
    _refuse_over_limit(total or 0)
    with progress("downloading", total, "B") as advance:
        advance(done)
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            _refuse_over_limit(done + len(chunk))
            file.write(chunk)
            done += len(chunk)
            advance(len(chunk))
    if total is not None and done != total:
        raise _LostError(f"ended after {done:,} of {total:,} bytes")


def _refuse_over_limit(size: int) -> None:
    if size > MAX_BYTES:
        raise PipelineError(f"serves more than {MAX_BYTES:,} bytes, the most that is accepted")
