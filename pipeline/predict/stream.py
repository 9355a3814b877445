"""Reads a camera or a video stream: always the newest frame, and again after the connection drops."""

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.core.redact import redact
from pipeline.faces import frames

PATIENCE, PAUSE = 30, 1
"""Seconds without a frame after which a stream has ended, and seconds from one attempt to connect to the next."""


def newest(source: str | int) -> Iterator[np.ndarray]:
    """Yield the newest (h, w, 3) uint8 BGR frame of a camera, by its number, or of an address, over and over.

    Frames that come while the last one is in use are left out. Raises PipelineError if the source cannot be opened, or
    no frame comes for PATIENCE seconds.
    """
    name = f"camera {source}" if isinstance(source, int) else redact(source)
    video = frames.open_video(source)
    if not video.isOpened():
        accepted = "accepted: a camera's number (0 is the first), a video file, rtsp://... or http://..."
        raise PipelineError(f"{name} cannot be opened; {accepted}")
    latest: queue.Queue[np.ndarray | PipelineError] = queue.Queue(1)
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(video, source, name, latest, ended), daemon=True)
    reader.start()
    try:
        while not isinstance(frame := latest.get(timeout=PATIENCE), PipelineError):
            yield frame
        raise frame
    except queue.Empty:
        raise PipelineError(f"{name} has sent no frame for {PATIENCE} seconds") from None
    finally:
        ended.set()
        reader.join(frames.TIMEOUT + 1)


def _read(video: cv2.VideoCapture, source: str | int, name: str, latest: queue.Queue, ended: threading.Event) -> None:
    """Put each frame into `latest` in place of the one before, until `ended`; connect again after a drop."""
    while not ended.is_set():
        try:
            for frame in frames.of_video(video, name):
                if ended.is_set():
                    return
                _replace(latest, frame.pixels)
        except PipelineError as error:  # the frames are too large
            return _replace(latest, error)
        print(f"warning: {name} has stopped; connecting again", file=sys.stderr)
        while not video.isOpened() and not ended.wait(PAUSE):
            video = frames.open_video(source)


def _replace(latest: queue.Queue, item: "np.ndarray | PipelineError") -> None:
    with suppress(queue.Empty):
        latest.get_nowait()
    latest.put(item)
