"""Draws Grad-CAM maps of pictures, or of images of val or test: the regions of a face that support an emotion."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths, runtime
from pipeline.core.command import command
from pipeline.core.constants import IMAGE_SIZE
from pipeline.core.errors import PipelineError
from pipeline.faces import options

if TYPE_CHECKING:
    from pipeline.faces.classifier import Classifier

MAX_FACES, MISTAKES = 24, 12
"""The largest number of faces in one figure, and the number of mistakes in it."""


@command
def main(arguments: list[str]) -> None:
    """Draw Grad-CAM maps of faces in pictures, or of a split's images: the most confident mistakes, or those chosen."""
    args = _parser().parse_args(arguments)
    if args.inputs:
        options.refuse(args, ("data", "split", "images"), "with pictures")
    else:
        options.refuse(args, ("whole", "detector"), "without pictures")
    if args.whole:
        options.refuse(args, ("detector",), "with --whole")
    if args.out.suffix.lower() != ".png":
        raise PipelineError(f"{args.out} does not end in .png; accepted: a name that ends in .png")
    runtime.load_tensorflow()
    from pipeline.faces.loading import load_classifier
    from pipeline.metrics import gradcam
    from pipeline.plots.explanations import explanations

    classifier = load_classifier(args.model, args.tracking, args.classes)
    if (side := classifier.model.input_shape[1]) != IMAGE_SIZE:
        raise PipelineError(f"{classifier.name} takes {side}x{side} images; accepted: a model of 48x48 images")
    if args.inputs:
        title, faces = "Faces", detect_faces(classifier, args.inputs, args.whole, args.detector)
    else:
        which = "images" if args.images else "most confident mistakes"
        data, split = args.data or "fer2013", args.split or "test"
        title, faces = f"{data} {split}: {which}", split_examples(classifier, data, split, args.images)
    explained = gradcam.explain(classifier.model, faces, classifier.info.classes)
    if faces and not explained:
        raise PipelineError(f"{classifier.name} has no convolutions, and so no Grad-CAM maps")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    explanations(args.out, explained, title)
    print(args.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.explain", description=main.__doc__)
    inputs = "pictures, or folders of pictures; by default images of a split"
    parser.add_argument("inputs", nargs="*", metavar="FILE|FOLDER", help=inputs)
    options.add(parser)
    parser.add_argument("--data", help="the dataset of the split; by default fer2013")
    parser.add_argument("--split", choices=["val", "test"], help="by default test")
    numbers = "numbers of images of the split, from 0: 3,17; by default the most confident mistakes"
    parser.add_argument("--images", type=_numbers, metavar="I,J", help=numbers)
    out = paths.ROOT / "outputs" / "explanations.png"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.png", help="by default %(default)s")
    return parser


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise PipelineError(f"--images {text}; accepted: numbers from 0, separated by commas: 3,17") from error


def detect_faces(
    classifier: "Classifier", inputs: list[str], whole: bool, detector_name: str | None = None
) -> list[dict[str, Any]]:
    """Return the first MAX_FACES faces in the pictures `inputs`, with their predictions.

    Videos in a folder are skipped. Raises PipelineError if a video is given, a picture cannot be read, or there is no
    picture or no face.
    """
    from pipeline.faces import detection, media

    if videos := [name for name in inputs if media.is_video(Path(name)) and not Path(name).is_dir()]:
        raise PipelineError(f"{videos[0]} is a video; accepted: pictures, and folders of pictures")
    detector = detection.whole if whole else detection.load(detector_name, when_needed=True)
    pictures = [path for _, path in media.files(inputs, paths.ROOT / "outputs", []) if not media.is_video(path)]
    if not pictures:
        raise PipelineError(f"no picture in {', '.join(inputs)}; accepted: {' '.join(sorted(media.PICTURES))}")
    found: list[dict[str, Any]] = []
    for path in pictures:
        frame = media.read(path)
        (faces,) = classifier.faces([frame], [detector(frame)])
        found += [face.to_example(frame) for face in faces]
        if len(found) >= MAX_FACES:
            break
    if not found:
        raise PipelineError("no face is found; --whole treats each picture as one")
    return found[:MAX_FACES]


def split_examples(classifier: "Classifier", data: str, split: str, chosen: list[int] | None) -> list[dict[str, Any]]:
    """Return the images `chosen` of a split, or the most confident mistakes, with their predictions.

    Raises PipelineError if there is no such image, or more than MAX_FACES are chosen.
    """
    from pipeline.data import arrays
    from pipeline.metrics import examples

    if chosen and len(chosen) > MAX_FACES:
        raise PipelineError(f"{len(chosen)} images are chosen; accepted: at most {MAX_FACES}")
    classes = classifier.info.classes
    images = arrays.load(paths.arrays(data), split, classes)
    probabilities = classifier.probabilities(images.images())
    if chosen is None:
        return examples.confident_mistakes(images, probabilities, classes, MISTAKES)
    if invalid := [i for i in chosen if not 0 <= i < len(images)]:
        raise PipelineError(f"{split} has no image {invalid[0]}; accepted: 0 to {len(images) - 1}")
    return [examples.example(images, probabilities, classes, i) for i in chosen]


if __name__ == "__main__":
    main()
