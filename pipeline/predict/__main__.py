"""Predicts the emotions of faces in pictures and videos: annotated copies, and a line for each face."""

import argparse
import sys
from pathlib import Path

from pipeline.core import paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Predict the emotions of faces in pictures, folders, videos, "-" (a picture from standard input), or a camera."""
    args = _parser().parse_args(arguments)
    if bool(args.inputs) == bool(args.camera):
        problem = "files and a camera are given" if args.camera else "no files and no camera are given"
        raise PipelineError(f"{problem}; accepted: pictures, folders, videos, -, or else --camera NUMBER|ADDRESS|VIDEO")
    if args.camera:
        options.refuse(args, ("whole", "lines", "no-pictures", "every"), "with --camera")
    else:
        options.refuse(args, ("headless",), "without --camera")
    if args.whole:
        options.refuse(args, ("detector",), "with --whole")
    if args.every is not None and args.every < 1:
        raise PipelineError(f"--every {args.every}; accepted: 1 or more")
    # As in stderr: a file's name need not be text.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from pipeline.faces import camera, detection
    from pipeline.faces.loading import load_classifier

    classifier = load_classifier(args.model, args.tracking, args.classes, options.RANGES.get(args.input_range))
    print(f"{classifier.name}: {', '.join(classifier.info.classes)}", file=sys.stderr)
    full, quick = (
        detection.whole if args.whole else detection.load(args.detector, longest, when_needed=not args.camera)
        for longest in (None, camera.LONGEST)
    )
    if args.camera:
        from pipeline.predict import live

        live.watch(args.camera, classifier, quick, args.out, args.headless)
        return
    from pipeline.predict import offline

    lines, drawn = args.lines or "csv", not args.no_pictures
    failed = offline.predict(args.inputs, classifier, full, quick, args.out, lines, drawn, args.every or 1)
    if failed:
        problem = f"{failed} files could not be read or written (see the warnings above)"
        raise PipelineError(f"{problem}; the others are done")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=main.__doc__)
    parser.add_argument("inputs", nargs="*", metavar="FILE|FOLDER|-", help="pictures, videos, folders of them")
    camera = "annotate a camera (0 is the first), its address (rtsp://..., http://...), or a video, live"
    parser.add_argument("--camera", metavar="NUMBER|ADDRESS|VIDEO", help=camera)
    options.add(parser)
    options.add_input_range(parser)
    parser.add_argument("--out", type=Path, default=paths.ROOT / "outputs" / "predictions", metavar="FOLDER")
    parser.add_argument("--lines", choices=["csv", "jsonl"], help="the format of the lines; by default csv")
    parser.add_argument("--no-pictures", action="store_true", help="write only the lines")
    parser.add_argument("--every", type=int, metavar="N", help="predict each N-th frame of a video; by default each")
    headless = "with --camera: write a video instead of opening a window"
    parser.add_argument("--headless", action="store_true", help=headless)
    return parser


if __name__ == "__main__":
    main()
