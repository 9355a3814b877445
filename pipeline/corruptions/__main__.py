"""Scores models on corrupted images: noise, blur, JPEG, light, occlusion and others."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.core import files, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.progress import progress
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Print and draw the accuracy of models under twelve corruptions of the images, at three severities each."""
    args = _parser().parse_args(arguments)
    if args.out.suffix.lower() != ".png":
        raise PipelineError(f"{args.out} does not end in .png; accepted: a name that ends in .png")
    from pipeline.data import arrays
    from pipeline.faces.loading import load_classifier
    from pipeline.metrics import corruptions
    from pipeline.plots.corruptions import heat_map

    folder = paths.arrays(args.data)
    found: dict[str, dict[str, Any]] = {}
    for name in args.models:
        classifier = load_classifier(name, args.tracking, args.classes, options.RANGES.get(args.input_range))
        split = arrays.load(folder, args.split, classifier.info.classes)
        images, labels = split.images(), split.labels
        with progress(name, 3 * len(corruptions.CORRUPTIONS), "predictions") as advance:
            clean = classifier.probabilities(images).argmax(1) == labels
            by_corruption = corruptions.accuracies(classifier.probabilities, images, labels, advance)
        shown = Path(name).stem if name.endswith(".h5") else name
        found[shown] = {
            "accuracy": float(clean.mean()),
            "mean_corrupted_accuracy": corruptions.mean(by_corruption),
            "corruptions": by_corruption,
        }
        print("{0}: {accuracy:.2%}, corrupted {mean_corrupted_accuracy:.2%}".format(shown, **found[shown]))
        for corruption, values in by_corruption.items():
            print(f"  {corruption:<15}" + "".join(f"  {value:6.1%}" for value in values))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{args.data} {args.split}: accuracy on corrupted images"
    heat_map(args.out, {name: each["corruptions"] for name, each in found.items()}, title)
    print(args.out)
    if args.json:
        data = {**arrays.identity(folder), "split": args.split, "images": len(split)}
        kinds = {name: {"strengths": s, "unit": unit} for name, (_, s, unit) in corruptions.CORRUPTIONS.items()}
        files.write_json(args.json, {"data": data, "kinds": kinds, "models": found})
        print(args.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.corruptions", description=main.__doc__)
    models = "an .h5 file, an MLflow run's id, models:/NAME@ALIAS; by default weights/best.h5"
    parser.add_argument("models", nargs="*", default=[str(paths.weights("best"))], metavar="MODEL", help=models)
    options.add_classes(parser)
    options.add_input_range(parser)
    options.add_tracking(parser)
    parser.add_argument("--data", default="fer2013", help="the dataset; by default %(default)s")
    parser.add_argument("--split", choices=["val", "test"], default="val", help="by default %(default)s")
    out = paths.ROOT / "outputs" / "corruptions.png"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.png", help="by default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the accuracies to this file")
    return parser


if __name__ == "__main__":
    main()
