"""Shows where in a face the network sees an emotion: Grad-CAM, on pictures, or on images of val or test."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options

if TYPE_CHECKING:
    from pipeline.faces.classifier import Classifier

MOST, MISTAKES = 24, 12
"""Faces on one picture, at most, and so many mistakes."""


@command
def main(arguments: list[str]) -> None:
    """Draw what speaks for the emotions of faces in pictures, or of images of a split: the worst, or those chosen."""
    asked = _parser().parse_args(arguments)
    if asked.inputs:
        options.refuse(asked, ("data", "split", "images"), "with pictures")
    else:
        options.refuse(asked, ("whole",), "without pictures")
    if asked.out.suffix.lower() != ".png":
        raise PipelineError(f"{asked.out} would hold a PNG picture; accepted: a name with .png at its end")
    runtime.configure()
    from pipeline.faces import classifier
    from pipeline.metrics import gradcam
    from pipeline.plots.explanations import explanations

    answering = classifier.find(asked.model, asked.tracking)
    if asked.inputs:
        title, faces = "Faces", of_pictures(answering, asked.inputs, asked.whole)
    else:
        which = "images" if asked.images else "most confident mistakes"
        data, split = asked.data or "fer2013", asked.split or "test"
        title, faces = f"{data} {split}: {which}", of_split(answering, data, split, asked.images)
    explained = gradcam.explained(answering.model, faces, answering.info.classes)
    if faces and not explained:
        raise PipelineError(f"{answering.name} has no convolutions, so that there is no map to look at")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    explanations(asked.out, explained, title)
    print(asked.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.explain", description=main.__doc__)
    inputs = "pictures, folders of them; without any, images of a split"
    parser.add_argument("inputs", nargs="*", metavar="FILE|FOLDER", help=inputs)
    options.add(parser)
    parser.add_argument("--data", help="the data set of the split; fer2013 without it")
    parser.add_argument("--split", choices=["val", "test"], help="test without it")
    numbers = "numbers of images of the split, from 0: 3,17; without it those with the most confident mistakes"
    parser.add_argument("--images", type=_numbers, metavar="I,J", help=numbers)
    out = paths.ROOT / "outputs" / "explanations.png"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.png", help="%(default)s without it")
    return parser


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise PipelineError(f"--images {text}; accepted: numbers from 0, with commas between them: 3,17") from error


def of_pictures(classifier: "Classifier", inputs: list[str], whole: bool) -> list[dict[str, Any]]:
    """Return the first faces in the pictures that `inputs` name, at most MOST, with what the network says of them.

    Videos in a folder are passed over. Raises PipelineError where a video is named, a picture cannot be read, or no
    picture or no face is there.
    """
    from pipeline.faces import detection, media

    if videos := [name for name in inputs if media.is_video(Path(name)) and not Path(name).is_dir()]:
        raise PipelineError(f"{videos[0]} is a video; accepted: pictures, and folders of them")
    detector = detection.whole if whole else detection.load()
    pictures = [path for _, path in media.files(inputs, paths.ROOT / "outputs") if not media.is_video(path)]
    if not pictures:
        raise PipelineError(f"no picture in {', '.join(inputs)}; accepted: {' '.join(sorted(media.PICTURES))}")
    found: list[dict[str, Any]] = []
    for path in pictures:
        for frame in media.frames(path):
            (faces,) = classifier.faces([frame.pixels], [detector(frame.pixels)])
            found += [face.shown(frame.pixels) for face in faces]
        if len(found) >= MOST:
            break
    if not found:
        raise PipelineError("no face is found; --whole takes each picture as one")
    return found[:MOST]


def of_split(classifier: "Classifier", data: str, split: str, chosen: list[int] | None) -> list[dict[str, Any]]:
    """Return the images `chosen` of a split, or those with the most confident mistakes, with what the network says.

    Raises PipelineError where there is no such image, or more than MOST are chosen.
    """
    from pipeline.data import arrays
    from pipeline.metrics import examples

    if chosen and len(chosen) > MOST:
        raise PipelineError(f"{len(chosen)} images are chosen; accepted: at most {MOST}")
    classes = classifier.info.classes
    images = arrays.load(paths.arrays(data), split, classes)
    probabilities = classifier.probabilities(images.images())
    if chosen is None:
        return examples.confident_mistakes(images, probabilities, classes, MISTAKES)
    if wrong := [i for i in chosen if not 0 <= i < len(images)]:
        raise PipelineError(f"{split} has no image {wrong[0]}; accepted: 0 to {len(images) - 1}")
    return [examples.face(images, probabilities, classes, i) for i in chosen]


if __name__ == "__main__":
    main()
