"""Annotates a camera, or a video, live: emotions smoothed over time, in a window or a video file."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.core.progress import progress
from pipeline.faces import camera, frames
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Detector
from pipeline.predict import output, stream, window

CAMERA_RATE = 25.0
"""Frames per second of the video that is written from a camera."""


def watch(source: str, classifier: Classifier, detector: Detector, out: Path, headless: bool) -> None:
    """Annotate a camera (by its number), an address or a video file until the window is closed, it ends, or Ctrl-C.

    Without a display, or if `headless`, write the annotated frames to a video in the folder `out` instead.
    Raises PipelineError if the source cannot be opened.
    """
    file = Path(source).is_file()
    rate = frames.rate(Path(source)) if file else CAMERA_RATE
    display = None if headless else window.open_window(f"{classifier.name} - close the window, or press q, to end")
    video = None if display else output.Video(out / "camera.mp4", rate)
    times: deque[float] = deque(maxlen=30)
    tracker, count, started = camera.FaceTracker(), 0, time.perf_counter()
    try:
        with progress("frames", None, "frames") as advance, contextlib.suppress(KeyboardInterrupt):
            for frame in _frames(source, file):
                times.append(time.perf_counter())
                speed = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
                picture = camera.annotate(frame, classifier, detector, tracker, speed)
                if video:
                    video.write(picture)
                elif display and not display.show(picture):
                    break
                elif file:  # no faster than the video was filmed
                    time.sleep(max(0.0, started + count / rate - time.perf_counter()))
                count += 1
                advance(1)
    finally:  # a stream may end with an error
        seconds = time.perf_counter() - started
        if video:
            video.finish()
        if count:
            print(f"{count} frames, {count / seconds:.0f} per second" + (f": {video.path}" if video else ""))


def _frames(source: str, file: bool) -> Iterator[np.ndarray]:
    if file:
        yield from (frame.pixels for frame in frames.of_video(frames.open_video(source), source))
    else:
        number = source.isascii() and source.isdecimal() and len(source) < 10  # the largest that OpenCV accepts
        yield from stream.newest(int(source) if number else source)
