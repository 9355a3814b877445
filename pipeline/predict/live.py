"""A camera, or a video as if it were one: emotions that are smoothed over time, in a window or in a video file."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import detection, drawing, media
from pipeline.faces.classifier import Classifier, Face
from pipeline.faces.detection import Box, Detector
from pipeline.predict import output, window

LONGEST = 320
"""Pixels along the longer side of what the detector sees: faces before a camera are large."""
CAMERA_RATE = 25.0
"""Frames a second of the video that is written of a camera."""
MEMORY = 0.8
"""The share that what was seen before has in the probabilities of a face, a frame later."""
OVERLAP = 0.3
"""Intersection over union from which on boxes of two frames are of one face."""
MISSED = 5
"""Frames after which a face that is not found any more is forgotten."""


class Track:
    """A face followed from frame to frame: its box, its smoothed probabilities, and how long it was not seen."""

    def __init__(self, box: Box, probabilities: np.ndarray):
        """Begin with what one frame shows."""
        self.box, self.probabilities, self.missed = box, probabilities, 0

    def see(self, box: Box, probabilities: np.ndarray) -> None:
        """Take what the next frame shows: an exponential moving average of boxes and probabilities."""
        self.box = Box(*(round(0.5 * old + 0.5 * new) for old, new in zip(self.box, box, strict=True)))
        self.probabilities = MEMORY * self.probabilities + (1 - MEMORY) * probabilities
        self.missed = 0


class Tracker:
    """Follows the faces of one camera."""

    def __init__(self) -> None:
        """Begin with no faces."""
        self.tracks: list[Track] = []
        self.shape: tuple[int, ...] = ()

    def update(self, shape: tuple[int, ...], boxes: list[Box], probabilities: np.ndarray) -> list[Track]:
        """Take the faces of the next frame and return those that are in it, or were a moment ago, the largest first.

        Where the `shape` of the frame is another one, as when a telephone is turned, all its faces are new.
        """
        if shape != self.shape:
            self.shape, self.tracks = shape, []
        unmatched = set(range(len(self.tracks)))
        for track in self.tracks:
            track.missed += 1
        for box, shares in zip(boxes, probabilities, strict=True):
            best = max(unmatched, key=lambda i: overlap(self.tracks[i].box, box), default=None)
            if best is not None and overlap(self.tracks[best].box, box) >= OVERLAP:
                unmatched.remove(best)
                self.tracks[best].see(box, shares)
            else:
                self.tracks.append(Track(box, shares))
        self.tracks = [track for track in self.tracks if track.missed <= MISSED]
        return sorted(self.tracks, key=lambda track: -track.box.side)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    across = min(a.x + a.side, b.x + b.side) - max(a.x, b.x)
    down = min(a.y + a.side, b.y + b.side) - max(a.y, b.y)
    both = max(0, across) * max(0, down)
    return both / (a.side**2 + b.side**2 - both)


def watch(source: str, classifier: Classifier, detector: Detector, out: Path, headless: bool) -> None:
    """Show the camera of that number, or a video file, until its window is closed, it ends, or Ctrl-C.

    Without a display, or where `headless`, the annotated frames become a video in the folder `out` instead.
    Raises PipelineError where the source cannot be opened.
    """
    number = int(source) if source.isdecimal() and len(source) < 10 else None  # OpenCV takes no larger one
    rate = media.rate(Path(source)) if number is None else CAMERA_RATE
    shown_in = None if headless else window.opened(f"{classifier.name} - close the window, or press q, to end")
    video = None if shown_in else output.Video(out / "camera.mp4", rate)
    times: deque[float] = deque(maxlen=30)
    tracker, shown, began = Tracker(), 0, time.perf_counter()
    with progress("frames", None, "frames") as advance, contextlib.suppress(KeyboardInterrupt):
        for frame in _frames(source, number):
            times.append(time.perf_counter())
            speed = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
            picture = annotated(frame, classifier, detector, tracker, speed)
            if video:
                video.write(picture)
            elif shown_in and not shown_in.show(picture):
                break
            elif number is None:  # no faster than it was filmed
                time.sleep(max(0.0, began + shown / rate - time.perf_counter()))
            shown += 1
            advance(1)
    seconds = time.perf_counter() - began
    if video:
        video.finish()
    print(f"{shown} frames, {shown / seconds:.0f} a second" + (f": {video.path}" if video and shown else ""))


def annotated(
    frame: np.ndarray, classifier: Classifier, detector: Detector, tracker: Tracker, speed: float | None
) -> np.ndarray:
    """Return the (h, w, 3) uint8 `frame` with its faces, their smoothed emotions, and the frames a second."""
    boxes = detector(frame)
    cut = np.stack([detection.crop(frame, box) for box in boxes]) if boxes else np.empty((0, 48, 48), np.uint8)
    seen = classifier.probabilities(cut) if boxes else np.empty((0, len(classifier.info.classes)))
    tracks = tracker.update(frame.shape, boxes, seen)
    crops = (detection.crop(frame, track.box) for track in tracks)
    answers = [classifier.answer(c, t.box.side, t.probabilities) for c, t in zip(crops, tracks, strict=True)]
    faces = [Face(track.box, answer) for track, answer in zip(tracks, answers, strict=True)]
    note = f"{speed:.0f} frames a second" if speed else ""
    return drawing.annotate(frame, faces, classifier.info.classes, columns=1, note=note)


def _frames(source: str, number: int | None) -> Iterator[np.ndarray]:
    camera = media.opened(source) if number is None else cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            known = "the number of a camera (0 is the first), or a video file"
            raise PipelineError(f"{source} cannot be opened; accepted: {known}")
        while (read := camera.read())[0]:
            yield read[1]
    finally:
        camera.release()
