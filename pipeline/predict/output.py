"""Writes predictions: a line for each face, and annotated pictures and videos."""

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
from pipeline.faces import drawing, frames
from pipeline.faces.classifier import Face
from pipeline.faces.frames import Frame
from pipeline.faces.rows import KEYS, of_frame
from pipeline.predict import pictures, summary

VIDEO_KEYS = ("seconds", "person")
"""The keys of a row that a video's frames have besides: the time stamp, and the person's number from 1."""


class Video:
    """An .mp4 file that is written frame by frame; it gets its final name when it is complete."""

    def __init__(self, path: Path, rate: float):
        """Prepare NAME.partial.mp4 with `rate` frames per second; `finish` renames it to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._partial = path, path.with_suffix(".partial.mp4")
        self._rate = min(max(round(rate, 2), 0.01), 600.0)  # the codec accepts no fraction above 65535/N
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, ...] = ()
        self._frames = 0

    def write(self, frame: np.ndarray) -> None:
        """Add `frame`, resized to the first one's size. Raises PipelineError if the file cannot be written."""
        frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]  # the codec needs even sizes
        if self._writer is None:
            frames.quiet()
            codec, self._size = cv2.VideoWriter_fourcc(*"mp4v"), frame.shape[1::-1]
            self._writer = cv2.VideoWriter(os.fsencode(self._partial), codec, self._rate, self._size)
            if not self._writer.isOpened():
                size = " x ".join(map(str, self._size))
                raise PipelineError(
                    f"{self.path} cannot be written, with {size} pixels; accepted: at most 8,191 along a side, in a "
                    "writable folder"
                )
        self._writer.write(frame if frame.shape[1::-1] == self._size else cv2.resize(frame, self._size))
        self._frames += 1

    def finish(self) -> None:
        """Rename the file to its final name. Raises PipelineError, and deletes the file, if frames were lost."""
        if self._writer is None:
            return
        self._writer.release()
        written = int(frames.video_property(self._partial, cv2.CAP_PROP_FRAME_COUNT))
        if written < self._frames:  # OpenCV raises no error on a full disk
            self._partial.unlink(missing_ok=True)
            lost = f"{self._frames - written} of its {self._frames} frames are lost"
            raise PipelineError(f"{self.path} cannot be written: {lost}; accepted: a disk with room for it")
        os.replace(self._partial, self.path)


class Folder:
    """The output of pipeline.predict: lines for faces and for people, and the annotated pictures and videos."""

    def __init__(self, folder: Path, lines: str, drawn: bool, classes: list[str], every: int = 1):
        """Open faces.csv or .jsonl (`lines`) in `folder`; unless `drawn`, write no pictures and videos.

        It gets its final name when it is complete. Each `every`-th frame of a video is added.
        """
        self.folder, self.drawn, self.classes, self.every = folder, drawn, classes, every
        self._path, self._partial = folder / f"faces.{lines}", folder / f"faces.{lines}.partial"
        folder.mkdir(parents=True, exist_ok=True)
        # A picture's name need not be text; its line is, so that any program can read the file.
        self._lines = open(self._partial, "w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
        keys = [*KEYS[:2], *VIDEO_KEYS, *KEYS[2:], *classes]
        self._table = csv.DictWriter(self._lines, keys, lineterminator="\n") if lines == "csv" else None
        if self._table:
            self._table.writerow({key: _cell(key) for key in keys})
        self._video: Video | None = None
        self._summary: summary.Summary | None = None
        self.people: list[dict[str, Any]] = []
        """The rows of people.csv: see Summary.rows."""
        self.failed = 0
        """The number of videos that could not be written."""

    def write(self, name: str, path: Path, frame: Frame, faces: list[Face]) -> None:
        """Add a frame of the file called `name`; the frames of a video must be added in order."""
        rows = of_frame(name, frame.number, faces, self.classes)
        for row, person in zip(rows, [face.person for face in faces] or [None], strict=True):
            row |= dict(zip(VIDEO_KEYS, (frame.seconds and round(frame.seconds, 3), person), strict=True))
        if self._table:
            self._table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
        else:
            self._lines.writelines(json.dumps(row) + "\n" for row in rows)
        if frame.seconds is None:
            if self.drawn:
                pictures.write(self.folder / name, path, drawing.annotate(frame.pixels, faces, self.classes))
            return
        if frame.number == 0:
            self._end_video()
            rate = frames.rate(path) / self.every
            self._summary = summary.Summary(name, self.classes, 1 / rate)
            self._video = Video(self.folder / f"{name}.mp4", rate) if self.drawn else None
        if self._summary:
            self._summary.add(frame.seconds, faces)
        if self._video:
            with self._skip_failed_video():
                self._video.write(drawing.annotate(frame.pixels, faces, self.classes, columns=1))

    def finish(self, table: bool) -> str:
        """Finish the last files; return a message that names them, below the `table` of people if there are any."""
        self._end_video()
        self._lines.close()
        os.replace(self._partial, self._path)
        people = self.folder / "people.csv"
        if self.people:
            files.write_csv(people, [{key: _cell(value) for key, value in row.items()} for row in self.people])
        shown = summary.table(self.people) + "\n\n" if self.people and table else ""
        written = f"{self._path} and {people}" if self.people else str(self._path)
        return shown + written + (", and the annotated files beside it" if self.drawn else "")

    def _end_video(self) -> None:
        if self._summary:
            self.people += self._summary.rows()
            if self.drawn:
                self._summary.draw(self.folder / f"{self._summary.name}.emotions.png")
        self._summary = None
        if self._video:
            with self._skip_failed_video():
                self._video.finish()
        self._video = None

    @contextmanager
    def _skip_failed_video(self) -> Iterator[None]:
        """If the video cannot be written, warn and skip it: the other files are still written."""
        try:
            yield
        except PipelineError as error:
            print(f"warning: {error}", file=sys.stderr)
            if self._video:
                self._video.path.unlink(missing_ok=True)  # of an earlier run
            self._video = None
            self.failed += 1


def _cell(value: Any) -> Any:
    """Return a value for a line of CSV: a text that a spreadsheet would take for a formula begins with an apostrophe.

    Source: OWASP, CSV injection. Line breaks become \\r and \\n.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\\r").replace("\n", "\\n")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
