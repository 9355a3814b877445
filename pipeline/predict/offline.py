"""Predicts the faces in files, in batches: pictures, and videos whose faces are tracked."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import camera, frames, media, rows
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Box, Detector
from pipeline.faces.frames import Frame
from pipeline.predict import output

BATCH_FACES = 64
"""Faces that are predicted in one batch."""
BATCH_PIXELS = 30_000_000
"""Pixels after which a batch of frames is complete, even with fewer faces."""
NAMED = 5
"""Files that are named, of those that are passed over."""


class Detected(NamedTuple):
    """A frame of the file called `name`, with the boxes of its faces."""

    name: str
    path: Path
    frame: Frame
    boxes: list[Box]


def predict(
    inputs: list[str],
    classifier: Classifier,
    full: Detector,
    quick: Detector,
    out: Path,
    lines: str = "csv",
    drawn: bool = True,
    every: int = 1,
) -> int:
    """Write faces.csv (or .jsonl), people.csv and, if `drawn`, the annotated `inputs` into the folder `out`.

    Each `every`-th frame of a video is predicted; most are searched by the detector `quick`. Frames stream through:
    memory does not grow with their number. Returns how many files could not be read or written. Raises PipelineError if
    there is no picture or video.
    """
    named = [media.STANDARD_INPUT if name == "-" else Path(name) for name in inputs]
    if not any(path.exists() for path in named):
        raise PipelineError(f"{', '.join(inputs)}: no such file or folder")
    passed_over: list[Path] = []
    found = media.files(inputs, out, passed_over)
    if (first := next(found, None)) is None:
        accepted = " ".join(sorted(media.PICTURES | media.VIDEOS))
        raise PipelineError(f"no picture or video in {', '.join(inputs)}; accepted: {accepted}")
    unreadable: list[str] = []
    batches = _batches(_detect(_read(chain([first], found), every, unreadable), full, quick))
    first_batch = next(batches, [])  # before anything is written: the detector may be missing
    folder = output.Folder(out, lines, drawn, classifier.info.classes, every)
    single = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    tracker = camera.FaceTracker()
    with progress("pictures and frames", None, "frames") as advance:
        for batch in chain([first_batch], batches):
            predicted = classifier.faces([each.frame.pixels for each in batch], [each.boxes for each in batch])
            for each, faces in zip(batch, predicted, strict=True):
                if each.frame.number == 0:
                    tracker = camera.FaceTracker(every, camera.UNSEEN)
                if each.frame.number is not None:
                    faces = camera.track(each.frame.pixels, faces, classifier, tracker, missed=0)
                elif each.path in named:
                    print(f"{each.name}: " + ("; ".join(face.prediction.text for face in faces) or rows.NO_FACE))
                folder.write(each.name, each.path, each.frame, faces)
                advance(1)
    print(folder.finish(single))
    return len(unreadable) + folder.failed + _report(passed_over)


def _read(files: Iterable[tuple[str, Path]], every: int, unreadable: list[str]) -> Iterator[tuple[str, Path, Frame]]:
    """Yield the frames with the names of their files; warn of unreadable files and add them to `unreadable`."""
    for name, path in files:
        try:
            for frame in frames.of_file(path, every):
                yield name, path, frame
        except PipelineError as error:
            print(f"warning: {error}", file=sys.stderr)
            unreadable.append(name)


def _detect(read: Iterable[tuple[str, Path, Frame]], full: Detector, quick: Detector) -> Iterator[Detected]:
    """Yield the frames with the boxes of their faces."""
    detector = full
    for name, path, frame in read:
        if not frame.number:  # a picture, or the first frame of a video
            detector = full if frame.number is None else camera.search(full, quick)
        yield Detected(name, path, frame, detector(frame.pixels))


def _batches(detected: Iterator[Detected]) -> Iterator[list[Detected]]:
    """Yield lists of frames, each complete with BATCH_FACES faces or BATCH_PIXELS pixels."""
    batch: list[Detected] = []
    faces = pixels = 0
    for each in detected:
        batch.append(each)
        faces += len(each.boxes)
        pixels += each.frame.pixels.shape[0] * each.frame.pixels.shape[1]
        if faces >= BATCH_FACES or pixels >= BATCH_PIXELS:
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


def _report(passed_over: list[Path]) -> int:
    """Name the files of folders that were not read; return how many are pictures or videos by their names."""
    alike = [path for path in passed_over if path.suffix.lower() in media.LIKE_PICTURES]
    if passed_over:
        first = sorted(passed_over, key=lambda path: path not in alike)[:NAMED]
        names = ", ".join([*(path.name for path in first), *["..."] * (len(passed_over) > NAMED)])
        print(f"warning: {len(passed_over)} other files are not read: {names}", file=sys.stderr)
    return len(alike)
