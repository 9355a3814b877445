"""Follows the faces of a camera or video: each person is tracked, and the probabilities are smoothed over time."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from pipeline.faces import detection, drawing
from pipeline.faces.classifier import Classifier, Face
from pipeline.faces.detection import Box, Detector

LONGEST = 320
"""Pixels along the longer side of the detector's input: faces before a camera are large."""
MEMORY = 0.8
"""The weight of the previous frames in the moving average of a face's probabilities."""
OVERLAP = 0.3
"""The lowest intersection over union at which boxes of two frames are the same face."""
MISSED = 5
"""The number of frames without detection after which a camera's face is dropped."""
UNSEEN = 50
"""The frames of a video file in which a person may be unseen, and has the same number afterwards."""
FULL_EVERY = 8
"""Frames of a video file from one search at full size to the next; between them a search at LONGEST suffices."""


@dataclass
class TrackedFace:
    """A face tracked over frames: the person's number, its box, its smoothed probabilities, and frames without it."""

    person: int
    box: Box
    probabilities: np.ndarray
    missed: int = 0

    def update(self, box: Box, probabilities: np.ndarray, frames: int) -> None:
        """Add the detection `frames` frames later to the exponential moving averages of box and probabilities."""
        weight, memory = 0.5**frames, MEMORY**frames
        self.box = Box(*(round(weight * old + (1 - weight) * new) for old, new in zip(self.box, box, strict=True)))
        self.probabilities = memory * self.probabilities + (1 - memory) * probabilities
        self.missed = 0


class FaceTracker:
    """Tracks the faces of one camera or video; persons are numbered from 1."""

    def __init__(self, every: int = 1, missed: int = MISSED) -> None:
        """Start without faces; each `every`-th frame is seen, and a face is dropped after `missed` more frames."""
        self.tracks: list[TrackedFace] = []
        self.shape: tuple[int, ...] = ()
        self._every, self._missed, self._persons = every, missed, count(1)

    def update(self, shape: tuple[int, ...], boxes: list[Box], probabilities: np.ndarray) -> list[TrackedFace]:
        """Add the detections of the next frame; return the faces in it and those not yet dropped, the largest first.

        If the `shape` of the frame changes, as when a telephone is turned, all faces are new.
        """
        if shape != self.shape:
            self.shape, self.tracks = shape, []
        unmatched = set(range(len(self.tracks)))
        for track in self.tracks:
            track.missed += 1
        for box, new in zip(boxes, probabilities, strict=True):
            best = max(unmatched, key=lambda i: overlap(self.tracks[i].box, box), default=None)
            if best is not None and overlap(self.tracks[best].box, box) >= OVERLAP:
                unmatched.remove(best)
                self.tracks[best].update(box, new, self._every)
            else:
                self.tracks.append(TrackedFace(next(self._persons), box, new))
        self.tracks = [track for track in self.tracks if track.missed * self._every <= self._missed]
        return sorted(self.tracks, key=lambda track: -track.box.side)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    across = min(a.x + a.side, b.x + b.side) - max(a.x, b.x)
    down = min(a.y + a.side, b.y + b.side) - max(a.y, b.y)
    both = max(0, across) * max(0, down)
    return both / (a.side**2 + b.side**2 - both)


def search(full: Detector, quick: Detector) -> Detector:
    """Return a detector for the frames of one video, in order.

    It is `quick`, but `full` for each FULL_EVERY-th frame, and if `quick` finds fewer faces than the frame before had.
    """
    frames, before = count(), 0

    def detect(frame: np.ndarray) -> list[Box]:
        nonlocal before
        boxes = quick(frame) if next(frames) % FULL_EVERY else None
        if boxes is None or len(boxes) < before:
            boxes = full(frame)
        before = len(boxes)
        return boxes

    return detect


def track(
    frame: np.ndarray, faces: list[Face], classifier: Classifier, tracker: FaceTracker, missed: int
) -> list[Face]:
    """Return the faces of the next frame with their persons and smoothed predictions, the largest first.

    Faces without detection in up to `missed` frames are among them.
    """
    raw = np.array([face.prediction.probabilities for face in faces]).reshape(-1, len(classifier.info.classes))
    found = []
    for each in tracker.update(frame.shape, [face.box for face in faces], raw):
        if each.missed > missed:
            continue
        crop = detection.crop(frame, each.box)
        found.append(Face(each.box, classifier.prediction(crop, each.box.side, each.probabilities), each.person))
    return found


def annotate(
    frame: np.ndarray, classifier: Classifier, detector: Detector, tracker: FaceTracker, speed: float | None
) -> np.ndarray:
    """Return the (h, w, 3) uint8 `frame` with its faces, their smoothed emotions, and the frames per second."""
    (faces,) = classifier.faces([frame], [detector(frame)])
    tracked = track(frame, faces, classifier, tracker, MISSED)
    note = f"{speed:.0f} frames per second" if speed else ""
    return drawing.annotate(frame, tracked, classifier.info.classes, columns=1, note=note)
