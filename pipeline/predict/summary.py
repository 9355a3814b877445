"""Sums up a video: how long each person showed each emotion, and when."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.faces.classifier import Face
from pipeline.sweep.ranking import aligned

STEP = 0.25
"""Seconds that are one column of the picture."""
KEYS = ("file", "person", "emotion", "seconds", "share", "confidence")
"""The columns of the table."""
REJECTED = "rejected"
"""The emotion, in the table, of the frames whose prediction is rejected."""


class Summary:
    """The predictions of one video, person by person."""

    def __init__(self, name: str, classes: list[str], last: float):
        """Start without frames, for the file `name`; its last frame lasts `last` seconds."""
        self.name, self.classes, self._last = name, classes, last
        self._text = name.encode("utf-8", "backslashreplace").decode()  # a file's name need not be text
        self._times: dict[int, dict[str, np.ndarray]] = {}
        self._steps: dict[int, dict[int, np.ndarray]] = {}
        self._before: tuple[float, list[Face]] = 0.0, []

    def add(self, seconds: float, faces: list[Face]) -> None:
        """Add the next frame; it lasts until the one after it."""
        start, before = self._before
        for face in before:
            self._count(face, start, seconds - start)
        self._before = seconds, faces

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each person and emotion, the longest first; complete the summary.

        A row has file, person, emotion or REJECTED, seconds, share (of the person's seconds), and mean confidence.
        """
        self.add(self._before[0] + self._last, [])
        found = []
        for person, times in sorted(self._times.items()):
            total = sum(seconds for seconds, _ in times.values())
            for emotion, (seconds, confidence) in sorted(times.items(), key=lambda item: -item[1][0]):
                values = self._text, person, emotion, seconds, seconds / total, confidence / seconds
                found.append(dict(zip(KEYS, (*values[:3], *(round(float(v), 3) for v in values[3:])), strict=True)))
        return found

    def draw(self, path: Path) -> None:
        """Draw the mean probabilities over time, person by person."""
        from pipeline.plots.video import emotions

        people = {}
        for person, steps in sorted(self._steps.items()):
            levels = np.full((max(steps) - min(steps) + 1, len(self.classes)), np.nan)
            for step, probabilities in steps.items():
                levels[step - min(steps)] = probabilities / probabilities.sum()
            people[person] = STEP * min(steps), levels
        emotions(path, self._text, people, self.classes, STEP)

    def _count(self, face: Face, start: float, seconds: float) -> None:
        prediction = face.prediction
        emotion, person = REJECTED if prediction.rejected else prediction.emotion, face.person or 0
        times = self._times.setdefault(person, {})
        added = np.array([seconds, seconds * prediction.probabilities.max()])
        times[emotion] = times.get(emotion, 0) + added
        steps, step = self._steps.setdefault(person, {}), int(start / STEP)
        steps[step] = steps.get(step, 0) + prediction.probabilities


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows of a video as a Markdown table with aligned columns."""
    texts = [
        [str(row["person"]), row["emotion"], f"{row['seconds']:.1f}", f"{row['share']:.0%}", f"{row['confidence']:.0%}"]
        for row in rows
    ]
    return aligned([list(KEYS[1:]), *texts])
