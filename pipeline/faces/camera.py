"""Annotates the frames of a camera: faces are tracked, and their probabilities smoothed over time."""

from dataclasses import dataclass

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
"""The number of frames without detection after which a face is dropped."""


@dataclass
class TrackedFace:
    """A face tracked over frames: its box, its smoothed probabilities, and the number of frames without detection."""

    box: Box
    probabilities: np.ndarray
    missed: int = 0

    def update(self, box: Box, probabilities: np.ndarray) -> None:
        """Add the detection in the next frame to the exponential moving averages of box and probabilities."""
        self.box = Box(*(round(0.5 * old + 0.5 * new) for old, new in zip(self.box, box, strict=True)))
        self.probabilities = MEMORY * self.probabilities + (1 - MEMORY) * probabilities
        self.missed = 0


class FaceTracker:
    """Tracks the faces of one camera."""

    def __init__(self) -> None:
        """Start without faces."""
        self.tracks: list[TrackedFace] = []
        self.shape: tuple[int, ...] = ()

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
                self.tracks[best].update(box, new)
            else:
                self.tracks.append(TrackedFace(box, new))
        self.tracks = [track for track in self.tracks if track.missed <= MISSED]
        return sorted(self.tracks, key=lambda track: -track.box.side)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    across = min(a.x + a.side, b.x + b.side) - max(a.x, b.x)
    down = min(a.y + a.side, b.y + b.side) - max(a.y, b.y)
    both = max(0, across) * max(0, down)
    return both / (a.side**2 + b.side**2 - both)


def annotate(
    frame: np.ndarray, classifier: Classifier, detector: Detector, tracker: FaceTracker, speed: float | None
) -> np.ndarray:
    """Return the (h, w, 3) uint8 `frame` with its faces, their smoothed emotions, and the frames per second."""
    boxes = detector(frame)
    if boxes:
        probabilities = classifier.probabilities(np.stack([detection.crop(frame, box) for box in boxes]))
    else:
        probabilities = np.empty((0, len(classifier.info.classes)))
    faces = []
    for track in tracker.update(frame.shape, boxes, probabilities):
        crop = detection.crop(frame, track.box)
        faces.append(Face(track.box, classifier.prediction(crop, track.box.side, track.probabilities)))
    note = f"{speed:.0f} frames per second" if speed else ""
    return drawing.annotate(frame, faces, classifier.info.classes, columns=1, note=note)
