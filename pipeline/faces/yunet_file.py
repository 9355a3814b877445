"""YuNet's file, which no package brings: fetched once, checked, and kept in the user's cache."""

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock

NAME = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
ADDRESSES = (
    f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{NAME}",
    "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/"
    "yunet_s_640_640.onnx",
)
"""The same bytes in OpenCV's model zoo, and in the repository of YuNet's author."""
TIMEOUT = 10
"""Seconds to wait for a connection, and for the next bytes."""
SECONDS = 30
"""Seconds after which an address is given up even if bytes still come."""
LARGEST = 1_000_000
"""Bytes after which an answer is given up: the file has 232,589."""


def read(addresses: Sequence[str] = ADDRESSES) -> bytes:
    """Return the content of YuNet's file from the user's cache; fetch it first if it is not there.

    Only content with the right SHA-256 is kept or returned. Raises PipelineError if no address answers with it.
    """
    try:
        path = _path()
        if content := _cached(path):
            return content
        with file_lock(path.with_suffix(".lock")):  # another process may be fetching it
            return _cached(path) or _fetch(addresses, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
        raise PipelineError(f"YuNet, the face detector, cannot be kept ({error}); {_accepted()}") from error


def _path() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "fer2013-pipeline" / NAME


def _cached(path: Path) -> bytes | None:
    return content if path.is_file() and _is_yunet(content := path.read_bytes()) else None


def _is_yunet(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _fetch(addresses: Sequence[str], path: Path) -> bytes:
    """Write the content of the first address that has the right one to `path`, and return it."""
    print(f"fetching YuNet, the face detector (233 kB, MIT licence), into {path}", file=sys.stderr, flush=True)
    problems = []
    for address in addresses:
        content, problem = _receive(address)
        if _is_yunet(content):
            files.replace(path, content)
            return content
        problems.append(f"{urlsplit(address).netloc} {problem or 'answers with another file'}")
    raise PipelineError(f"YuNet, the face detector, cannot be fetched ({', '.join(problems)}); {_accepted(path)}")


def _receive(address: str) -> tuple[bytes, str]:
    """Return what `address` answers, and what went wrong, if anything."""
    import requests
    from urllib3.exceptions import HTTPError

    content, end = b"", time.monotonic() + SECONDS
    try:
        with requests.get(address, headers={"Accept-Encoding": "identity"}, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code != 200:
                return b"", f"answers {answer.status_code}"
            while len(content) < LARGEST and (part := answer.raw.read1(2**16)):
                content += part
                if time.monotonic() > end:
                    return b"", "is too slow"
    except (requests.RequestException, HTTPError) as error:
        return b"", f"cannot be reached ({type(error).__name__})"
    return content, ""


def _accepted(path: Path | None = None) -> str:
    where = path or f"XDG_CACHE_HOME/fer2013-pipeline/{NAME}"
    return f"accepted: --detector haar, which needs no file, or that file as {where} ({ADDRESSES[0]})"
