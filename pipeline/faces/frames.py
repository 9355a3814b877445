"""Reads pictures and videos as frames, one at a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.faces import media

RATE = 25.0
"""Frames per second of a video that does not state them."""
TIMEOUT = 5
"""Seconds in which an address, or a file on a network, must answer."""


class Frame(NamedTuple):
    """A picture, or a frame of a video: (h, w, 3) uint8 BGR.

    `number` counts a video's frames from 0; `seconds` is the frame's own time stamp.
    """

    pixels: np.ndarray
    number: int | None = None
    seconds: float | None = None


def of_file(path: Path, every: int = 1) -> Iterator[Frame]:
    """Yield each `every`-th frame of the video `path`, or the one frame of a picture.

    Raises PipelineError if the file cannot be read, or a frame is too large.
    """
    if not media.is_video(path):
        yield Frame(media.read(path))
        return
    if not path.is_file():
        raise PipelineError(f"{path} is missing")
    frame = None
    for frame in of_video(open_video(path), str(path), every):
        yield frame
    if frame is None:
        raise PipelineError(f"{path} is not a readable video")


def of_video(video: cv2.VideoCapture, name: str, every: int = 1) -> Iterator[Frame]:
    """Yield each `every`-th of the frames that are left in `video`, and close it; `name` is its name in errors.

    A frame without a later time stamp than the one before follows it at the video's rate. OpenCV scales frames of
    another size to the size of the first. Raises PipelineError if that is too large.
    """
    number, seconds, step = 0, -1.0, 1 / (video.get(cv2.CAP_PROP_FPS) or RATE)
    try:
        media.check_size(int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)), name)
        while video.grab():
            stamp = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            seconds = stamp if stamp > seconds else seconds + step
            if number % every == 0:
                read, pixels = video.retrieve()
                if not read:
                    return
                yield Frame(pixels, number, seconds)
            number += 1
    finally:
        video.release()


def open_video(source: Path | str | int) -> cv2.VideoCapture:
    """Return OpenCV's reader of a video, address or numbered camera; it yields no frames if there is none."""
    quiet()
    if isinstance(source, int):
        return cv2.VideoCapture(source)
    limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * TIMEOUT)
    return cv2.VideoCapture(os.fsencode(source), cv2.CAP_FFMPEG, limits)  # a str that is not UTF-8 would abort


def quiet() -> None:
    """Keep OpenCV and FFmpeg from printing: their messages would contain an address with its password.

    FFmpeg's level is read once, when a video is first opened or written.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"


def rate(path: Path) -> float:
    """Return the frames per second of the video `path`."""
    return video_property(path, cv2.CAP_PROP_FPS) or RATE


def video_property(path: Path, number: int) -> float:
    """Return OpenCV's property `number` (CAP_PROP_...) of the video `path`; 0 if the file does not state it."""
    return open_video(path).get(number)
