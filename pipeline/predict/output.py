"""Writes what was found: a line for each face, and annotated pictures and videos."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError
from pipeline.faces import drawing, media
from pipeline.faces.classifier import Face
from pipeline.faces.media import Frame

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
        self.path, self._partial = path, path.with_suffix(".partial.mp4")
        self._rate = min(max(round(rate, 2), 0.01), 600.0)  # the codec takes no fraction above 65535/N
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, ...] = ()
        self._frames = 0

    def write(self, frame: np.ndarray) -> None:
        """Add `frame`, in the size of the first. Raises PipelineError where the file cannot be written."""
        frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]  # what the codec takes
        if self._writer is None:
            codec, self._size = cv2.VideoWriter_fourcc(*"mp4v"), frame.shape[1::-1]
            self._writer = cv2.VideoWriter(os.fsencode(self._partial), codec, self._rate, self._size)
            if not self._writer.isOpened():
                size = " x ".join(map(str, self._size))
                raise PipelineError(
                    f"{self.path} cannot be written, with {size} pixels; accepted: at most 8,191 along a side, and a "
                    "folder that can be written to"
                )
        self._writer.write(frame if frame.shape[1::-1] == self._size else cv2.resize(frame, self._size))
        self._frames += 1

    def finish(self) -> None:
        """Give the file its name. Raises PipelineError, and leaves none, where it has lost frames."""
        if self._writer is None:
            return
        self._writer.release()
        held = int(media.told(self._partial, cv2.CAP_PROP_FRAME_COUNT))
        if held < self._frames:  # OpenCV raises no error on a full disk
            self._partial.unlink(missing_ok=True)
            lost = f"{self._frames - held} of its {self._frames} frames are lost"
            raise PipelineError(f"{self.path} cannot be written: {lost}; accepted: a disk with room for it")
        os.replace(self._partial, self.path)


class Folder:
    """What pipeline.predict leaves: a line for each face, and the annotated pictures and videos."""

    def __init__(self, folder: Path, lines: str, pictures: bool, classes: list[str]):
        """Begin faces.csv, or .jsonl as `lines` says, in `folder`; without `pictures` it is all that is written."""
        self.folder, self.pictures, self.classes = folder, pictures, classes
        self._lines = Lines(folder / f"faces.{lines}", [*KEYS, *classes])
        self._video: Video | None = None
        self.failed = 0
        """Videos that could not be written."""

    def write(self, name: str, path: Path | None, frame: Frame, faces: list[Face]) -> None:
        """Add a frame of the file called `name`; those of a video come one after the other."""
        self._lines.write(rows(name, frame.number, faces, self.classes))
        if not self.pictures:
            return
        if frame.number is None:
            drawn = drawing.annotate(frame.pixels, faces, self.classes)
            files.replace(self.folder / f"{name}.png", cv2.imencode(".png", drawn)[1].tobytes())
            return
        if path and frame.number == 0:
            self._end_video()
            self._video = Video(self.folder / f"{name}.mp4", media.rate(path))
        if self._video:
            with self._leaving_out():
                self._video.write(drawing.annotate(frame.pixels, faces, self.classes, columns=1))

    def finish(self) -> str:
        """Give the last files their names; return what to say of them."""
        self._end_video()
        self._lines.finish()
        return str(self._lines.path) + (", and the annotated files beside it" if self.pictures else "")

    def _end_video(self) -> None:
        if self._video:
            with self._leaving_out():
                self._video.finish()
        self._video = None

    @contextmanager
    def _leaving_out(self) -> Iterator[None]:
        """Leave the video out, and say so, where it cannot be written: the rest is done."""
        try:
            yield
        except PipelineError as error:
            print(f"warning: {error}", file=sys.stderr)
            if self._video:
                self._video.path.unlink(missing_ok=True)  # one of an earlier run
            self._video = None
            self.failed += 1
