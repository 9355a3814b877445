"""Writes what was found: a line for each face, and annotated pictures and videos."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.prediction import drawing, media
from pipeline.prediction.media import Frame
from pipeline.prediction.network import Face

NO_FACE = "no face"
KEYS = ("file", "frame", "face", "x", "y", "side", "answer", "doubt")
"""Of a row, before the probabilities."""


def rows(name: str, number: int | None, faces: list[Face], classes: list[str]) -> list[dict[str, Any]]:
    """Return a row for each face of a frame, or one that says that there is none.

    A row has file, frame (of a video, from 0), face (from 1, the largest first), x, y and side (of the box, in pixels
    of the frame), answer, doubt (none where the answer is sure) and the calibrated probability of each emotion.
    """
    keys = (*KEYS, *classes)
    if not faces:
        return [dict.fromkeys(keys) | {"file": name, "frame": number, "answer": NO_FACE}]
    found = []
    for place, (box, answer) in enumerate(faces, 1):
        shares = (round(float(p), 4) for p in answer.probabilities)
        values = name, number, place, *box, answer.emotion, answer.doubt or None, *shares
        found.append(dict(zip(keys, values, strict=True)))
    return found


class Lines:
    """A .csv or .jsonl file of rows that grows with the work; it has its name once it is complete."""

    def __init__(self, path: Path, keys: list[str]):
        """Begin the file `path` of rows with `keys`; it is PATH.partial until it is complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._partial = path, path.with_name(path.name + ".partial")
        # A picture's name need be no text; its line is, so that any program reads the file.
        self._file = open(self._partial, "w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
        self._table = csv.DictWriter(self._file, keys, lineterminator="\n") if path.suffix == ".csv" else None
        if self._table:
            self._table.writeheader()

    def write(self, found: list[dict[str, Any]]) -> None:
        """Add the rows `found`."""
        if self._table:
            self._table.writerows(found)
        else:
            self._file.writelines(json.dumps(row) + "\n" for row in found)

    def finish(self) -> None:
        """Give the file its name."""
        self._file.close()
        os.replace(self._partial, self.path)


class Video:
    """An .mp4 file that grows frame by frame; it has its name once it is complete."""

    def __init__(self, path: Path, rate: float):
        """Begin the file `path`, of `rate` frames a second; it is NAME.partial.mp4 until then."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.rate, self._partial = path, rate, path.with_suffix(".partial.mp4")
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Add `frame`; all have the size of the first. Raises PipelineError where the file cannot be written."""
        frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]  # what the codec takes
        if self._writer is None:
            codec = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(os.fsencode(self._partial), codec, self.rate, frame.shape[1::-1])
            if not self._writer.isOpened():
                raise PipelineError(f"{self._partial} cannot be written")
        self._writer.write(frame)

    def finish(self) -> None:
        """Give the file its name."""
        if self._writer is not None:
            self._writer.release()
            os.replace(self._partial, self.path)


class Folder:
    """What pipeline.predict leaves: a line for each face, and the annotated pictures and videos."""

    def __init__(self, folder: Path, lines: str, pictures: bool, classes: list[str]):
        """Begin faces.csv, or .jsonl as `lines` says, in `folder`; without `pictures` it is all that is written."""
        self.folder, self.pictures, self.classes = folder, pictures, classes
        self._lines = Lines(folder / f"faces.{lines}", [*KEYS, *classes])
        self._video: Video | None = None

    def write(self, name: str, path: Path | None, frame: Frame, faces: list[Face]) -> None:
        """Add a frame of the file called `name`; those of a video come one after the other."""
        self._lines.write(rows(name, frame.number, faces, self.classes))
        if not self.pictures:
            return
        if frame.number is None:
            drawn = drawing.annotate(frame.pixels, faces, self.classes)
            files.replace(self.folder / f"{name}.png", cv2.imencode(".png", drawn)[1].tobytes())
            return
        if frame.number == 0:
            self._end_video()
            self._video = Video(self.folder / f"{name}.mp4", media.rate(path))
        self._video.write(drawing.annotate(frame.pixels, faces, self.classes, columns=1))

    def finish(self) -> str:
        """Give the last files their names; return what to say of them."""
        self._end_video()
        self._lines.finish()
        return str(self._lines.path) + (", and the annotated files beside it" if self.pictures else "")

    def _end_video(self) -> None:
        if self._video:
            self._video.finish()
        self._video = None
