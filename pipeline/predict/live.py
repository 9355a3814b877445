"""Annotates a camera, or a video, live: emotions smoothed over time, in a window or a video file."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import camera, media
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Detector
from pipeline.predict import output, window

CAMERA_RATE = 25.0
"""Frames per second of the video that is written from a camera."""


def watch(source: str, classifier: Classifier, detector: Detector, out: Path, headless: bool) -> None:
    """Annotate a camera (by its number) or a video file until the window is closed, the video ends, or Ctrl-C.

    Without a display, or if `headless`, write the annotated frames to a video in the folder `out` instead.
    Raises PipelineError if the source cannot be opened.
    """
    number = int(source) if source.isdecimal() and len(source) < 10 else None  # the largest that OpenCV accepts
    rate = media.rate(Path(source)) if number is None else CAMERA_RATE
    display = None if headless else window.open_window(f"{classifier.name} - close the window, or press q, to end")
    video = None if display else output.Video(out / "camera.mp4", rate)
    times: deque[float] = deque(maxlen=30)
    tracker, count, started = camera.FaceTracker(), 0, time.perf_counter()
    with progress("frames", None, "frames") as advance, contextlib.suppress(KeyboardInterrupt):
        for frame in _frames(source, number):
            times.append(time.perf_counter())
            speed = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
            picture = camera.annotate(frame, classifier, detector, tracker, speed)
            if video:
                video.write(picture)
            elif display and not display.show(picture):
                break
            elif number is None:  # no faster than the video was filmed
                time.sleep(max(0.0, started + count / rate - time.perf_counter()))
            count += 1
            advance(1)
    seconds = time.perf_counter() - started
    if video:
        video.finish()
    print(f"{count} frames, {count / seconds:.0f} per second" + (f": {video.path}" if video and count else ""))


def _frames(source: str, number: int | None) -> Iterator[np.ndarray]:
    capture = media.open_video(source) if number is None else cv2.VideoCapture(number)
    if not capture.isOpened():
        accepted = "the number of a camera (0 is the first), or a video file"
        raise PipelineError(f"{source} cannot be opened; accepted: {accepted}")
    yield from media.read_video(capture)
