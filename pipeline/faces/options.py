"""The options that commands share: the model, its store, the detector, and whole pictures as faces."""

import argparse
from typing import TYPE_CHECKING

from pipeline.core import config, paths
from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
"""What black and white are in the images of models, by the text that --input-range takes."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add --model, --classes, --tracking, --detector and --whole to `parser`."""
    model = "an .h5 file, an MLflow run's id, models:/NAME@ALIAS"
    parser.add_argument("--model", default=str(paths.weights("best")), help=f"{model}; by default %(default)s")
    add_classes(parser)
    add_tracking(parser)
    add_detector(parser)
    parser.add_argument("--whole", action="store_true", help="treat each picture as one face")


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Add --classes to `parser`."""
    classes = "the classes of a model of another program, in the order of its outputs"
    parser.add_argument("--classes", type=lambda text: text.split(","), metavar="A,B,...", help=classes)


def add_input_range(parser: argparse.ArgumentParser) -> None:
    """Add --input-range to `parser`."""
    inputs = f"black and white in the images of a model of another program: {', '.join(RANGES)}; by default 0..1"
    parser.add_argument("--input-range", choices=RANGES, metavar="BLACK..WHITE", help=inputs)


def add_tracking(parser: argparse.ArgumentParser) -> None:
    """Add --tracking to `parser`."""
    store = "the store of runs: an option of conf/tracking/; by default that of params.yaml"
    parser.add_argument("--tracking", help=store)


def add_detector(parser: argparse.ArgumentParser) -> None:
    """Add --detector to `parser`."""
    names = "yunet (by default; fetched once), haar (OpenCV's cascade, which needs no network), a YuNet model's file"
    parser.add_argument("--detector", metavar="NAME|FILE.onnx", help=names)


def open_tracker(tracking: str | None) -> "Tracker":
    """Return the store that --tracking names."""
    from pipeline.tracking.tracker import Tracker

    cfg, _ = config.compose([f"tracking={tracking}"] if tracking else [])
    return Tracker(cfg.tracking)


def refuse(given: argparse.Namespace, names: tuple[str, ...], when: str) -> None:
    """Raise PipelineError if an option of `names` is given, which has no effect `when`, such as "with --whole"."""
    for name in names:
        if getattr(given, name.replace("-", "_")):
            raise PipelineError(f"--{name} has no effect {when}; accepted: the same command without it")
