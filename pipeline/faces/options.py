"""The options that predict and explain share: the model, its store, and whole pictures as faces."""

import argparse

from pipeline.core import paths
from pipeline.core.errors import PipelineError


def add(parser: argparse.ArgumentParser) -> None:
    """Add --model, --tracking and --whole to `parser`."""
    model = "an .h5 file, an MLflow run's id, models:/NAME@ALIAS"
    parser.add_argument("--model", default=str(paths.weights("best")), help=f"{model}; by default %(default)s")
    parser.add_argument(
        "--tracking", help="the store of runs: an option of conf/tracking/; by default that of params.yaml"
    )
    parser.add_argument("--whole", action="store_true", help="treat each picture as one face")


def refuse(given: argparse.Namespace, names: tuple[str, ...], when: str) -> None:
    """Raise PipelineError if an option of `names` is given, which has no effect `when`, such as "with --whole"."""
    for name in names:
        if getattr(given, name.replace("-", "_")):
            raise PipelineError(f"--{name} has no effect {when}; accepted: the same command without it")
