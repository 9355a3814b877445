"""Names the emotions of the faces in pictures and videos: boxes and bars to look at, and a line for each face."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.core import paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import options

if TYPE_CHECKING:
    from pipeline.faces.classifier import Classifier
    from pipeline.faces.detection import Box, Detector
    from pipeline.faces.media import Frame

TOGETHER = 64
"""Faces that are predicted together."""
PIXELS = 30_000_000
"""Pixels of the frames that wait for it, at most."""


class Seen(NamedTuple):
    """A frame of the file called `name`, with the boxes of its faces."""

    name: str
    path: Path | None
    frame: "Frame"
    boxes: "list[Box]"


@command
def main(arguments: list[str]) -> None:
    """Predict what is in pictures, folders, videos (or "-", a picture from standard input), or before a camera."""
    asked = _parser().parse_args(arguments)
    if bool(asked.inputs) == bool(asked.camera):
        given = "files and a camera are given" if asked.camera else "nothing to look at"
        raise PipelineError(f"{given}; accepted: pictures, folders, videos, -, or else --camera NUMBER|VIDEO")
    if asked.camera:
        options.refuse(asked, ("whole", "lines", "no-pictures"), "with --camera")
    else:
        options.refuse(asked, ("headless",), "without --camera")
    if asked.whole:
        options.refuse(asked, ("detector",), "with --whole")
    runtime.configure()
    # As stderr does: a file's name need be no text.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from pipeline.faces import classifier, detection

    answering = classifier.find(asked.model, asked.tracking)
    print(f"{answering.name}: {', '.join(answering.info.classes)}", file=sys.stderr)
    if asked.camera:
        from pipeline.predict import live

        live.watch(asked.camera, answering, detection.load(asked.detector, live.LONGEST), asked.out, asked.headless)
        return
    detector = detection.whole if asked.whole else detection.load(asked.detector)
    failed = predict(asked.inputs, answering, detector, asked.out, asked.lines or "csv", not asked.no_pictures)
    if failed:
        raise PipelineError(f"{failed} could not be read or written, the others are done; the warnings above name them")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=main.__doc__)
    parser.add_argument("inputs", nargs="*", metavar="FILE|FOLDER|-", help="pictures, videos, folders of them")
    parser.add_argument("--camera", metavar="NUMBER|VIDEO", help="show a camera, or a video, live")
    options.add(parser)
    yunet = "YuNet's model file (.onnx), which finds more faces than the cascade that OpenCV brings"
    parser.add_argument("--detector", type=Path, metavar="FILE", help=yunet)
    parser.add_argument("--out", type=Path, default=paths.ROOT / "outputs" / "predictions", metavar="FOLDER")
    parser.add_argument("--lines", choices=["csv", "jsonl"], help="the format of the lines; csv without it")
    parser.add_argument("--no-pictures", action="store_true", help="write lines alone")
    parser.add_argument("--headless", action="store_true", help="with --camera: write a video, open no window")
    return parser


def predict(
    inputs: list[str], classifier: "Classifier", detector: "Detector", out: Path, lines: str, pictures: bool
) -> int:
    """Write faces.csv (or .jsonl) and the annotated `inputs` into the folder `out`; return how many of them failed.

    Frames stream through: what is in memory does not grow with their number. Raises PipelineError where there is no
    picture or video.
    """
    from pipeline.faces import media
    from pipeline.predict import output

    given = media.files(inputs, out)
    if (first := next(given, None)) is None:
        accepted = " ".join(sorted(media.PICTURES | media.VIDEOS))
        raise PipelineError(f"no picture or video in {', '.join(inputs)}; accepted: {accepted}")
    written = output.Folder(out, lines, pictures, classifier.info.classes)
    unreadable: list[str] = []
    alone = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    with progress("pictures and frames", None, "frames") as advance:
        for batch in _batches(_seen(chain([first], given), detector, unreadable)):
            found = classifier.faces([seen.frame.pixels for seen in batch], [seen.boxes for seen in batch])
            for seen, faces in zip(batch, found, strict=True):
                written.write(seen.name, seen.path, seen.frame, faces)
                if alone and seen.frame.number is None:
                    print(f"{seen.name}: " + ("; ".join(face.answer.text for face in faces) or output.NO_FACE))
                advance(1)
    print(written.finish())
    return len(unreadable) + written.failed


def _seen(given: Iterable[tuple[str, Path | None]], detector: "Detector", unreadable: list[str]) -> Iterator[Seen]:
    """Yield all frames with the boxes of their faces; report the files that cannot be read, and go on."""
    from pipeline.faces import media

    for name, path in given:
        try:
            for frame in media.frames(path):
                yield Seen(name, path, frame, detector(frame.pixels))
        except PipelineError as error:
            print(f"warning: {error}", file=sys.stderr)
            unreadable.append(name)


def _batches(seen: Iterator[Seen]) -> Iterator[list[Seen]]:
    """Yield frames together until they have enough faces, or too many pixels."""
    batch: list[Seen] = []
    faces = pixels = 0
    for each in seen:
        batch.append(each)
        faces += len(each.boxes)
        pixels += each.frame.pixels.shape[0] * each.frame.pixels.shape[1]
        if faces >= TOGETHER or pixels >= PIXELS:
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


if __name__ == "__main__":
    main()
