"""Predicts the emotions of faces in pictures and videos: annotated copies, and a line for each face."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.core import paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import options

if TYPE_CHECKING:
    from pipeline.faces.classifier import Classifier
    from pipeline.faces.detection import Box, Detector
    from pipeline.faces.media import Frame

BATCH_FACES = 64
"""Faces that are predicted in one batch."""
BATCH_PIXELS = 30_000_000
"""Pixels after which a batch of frames is complete, even with fewer faces."""


class Detected(NamedTuple):
    """A frame of the file called `name`, with the boxes of its faces."""

    name: str
    path: Path
    frame: "Frame"
    boxes: "list[Box]"


@command
def main(arguments: list[str]) -> None:
    """Predict the emotions of faces in pictures, folders, videos, "-" (a picture from standard input), or a camera."""
    args = _parser().parse_args(arguments)
    if bool(args.inputs) == bool(args.camera):
        problem = "files and a camera are given" if args.camera else "no files and no camera are given"
        raise PipelineError(f"{problem}; accepted: pictures, folders, videos, -, or else --camera NUMBER|VIDEO")
    if args.camera:
        options.refuse(args, ("whole", "lines", "no-pictures"), "with --camera")
    else:
        options.refuse(args, ("headless",), "without --camera")
    if args.whole:
        options.refuse(args, ("detector",), "with --whole")
    # As in stderr: a file's name need not be text.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from pipeline.faces import camera, detection
    from pipeline.faces.loading import load_classifier

    classifier = load_classifier(args.model, args.tracking, args.classes, options.RANGES.get(args.input_range))
    print(f"{classifier.name}: {', '.join(classifier.info.classes)}", file=sys.stderr)
    if args.camera:
        from pipeline.predict import live

        live.watch(args.camera, classifier, detection.load(args.detector, camera.LONGEST), args.out, args.headless)
        return
    detector = detection.whole if args.whole else detection.load(args.detector, when_needed=True)
    failed = predict(args.inputs, classifier, detector, args.out, args.lines or "csv", not args.no_pictures)
    if failed:
        problem = f"{failed} files could not be read or written (see the warnings above)"
        raise PipelineError(f"{problem}; the others are done")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=main.__doc__)
    parser.add_argument("inputs", nargs="*", metavar="FILE|FOLDER|-", help="pictures, videos, folders of them")
    parser.add_argument("--camera", metavar="NUMBER|VIDEO", help="annotate a camera, or a video, live")
    options.add(parser)
    options.add_input_range(parser)
    parser.add_argument("--out", type=Path, default=paths.ROOT / "outputs" / "predictions", metavar="FOLDER")
    parser.add_argument("--lines", choices=["csv", "jsonl"], help="the format of the lines; by default csv")
    parser.add_argument("--no-pictures", action="store_true", help="write only the lines")
    headless = "with --camera: write a video instead of opening a window"
    parser.add_argument("--headless", action="store_true", help=headless)
    return parser


def predict(
    inputs: list[str], classifier: "Classifier", detector: "Detector", out: Path, lines: str, pictures: bool
) -> int:
    """Write faces.csv (or .jsonl) and the annotated `inputs` into the folder `out`; return the number of failed files.

    Frames stream through: memory does not grow with their number. Raises PipelineError if there is no picture or video.
    """
    from pipeline.faces import media, rows
    from pipeline.predict import output

    found = media.files(inputs, out)
    if (first := next(found, None)) is None:
        accepted = " ".join(sorted(media.PICTURES | media.VIDEOS))
        raise PipelineError(f"no picture or video in {', '.join(inputs)}; accepted: {accepted}")
    unreadable: list[str] = []
    read = _read(chain([first], found), unreadable)
    batches = _batches(Detected(name, path, frame, detector(frame.pixels)) for name, path, frame in read)
    first_batch = next(batches, [])  # before anything is written: the detector may be missing
    output_folder = output.Folder(out, lines, pictures, classifier.info.classes)
    single = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    with progress("pictures and frames", None, "frames") as advance:
        for batch in chain([first_batch], batches):
            predicted = classifier.faces([each.frame.pixels for each in batch], [each.boxes for each in batch])
            for each, faces in zip(batch, predicted, strict=True):
                output_folder.write(each.name, each.path, each.frame, faces)
                if single and each.frame.number is None:
                    print(f"{each.name}: " + ("; ".join(face.prediction.text for face in faces) or rows.NO_FACE))
                advance(1)
    print(output_folder.finish())
    return len(unreadable) + output_folder.failed


def _read(files: Iterable[tuple[str, Path]], unreadable: list[str]) -> Iterator[tuple[str, Path, "Frame"]]:
    """Yield all frames with the names of their files; warn of unreadable files and add them to `unreadable`."""
    from pipeline.faces import media

    for name, path in files:
        try:
            for frame in media.frames(path):
                yield name, path, frame
        except PipelineError as error:
            print(f"warning: {error}", file=sys.stderr)
            unreadable.append(name)


def _batches(frames: Iterator[Detected]) -> Iterator[list[Detected]]:
    """Yield lists of frames, each complete with BATCH_FACES faces or BATCH_PIXELS pixels."""
    batch: list[Detected] = []
    faces = pixels = 0
    for each in frames:
        batch.append(each)
        faces += len(each.boxes)
        pixels += each.frame.pixels.shape[0] * each.frame.pixels.shape[1]
        if faces >= BATCH_FACES or pixels >= BATCH_PIXELS:
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


if __name__ == "__main__":
    main()
