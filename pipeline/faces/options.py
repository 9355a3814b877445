"""What predict and explain are both asked: which network, and how pictures are looked at."""

import argparse

from pipeline.core import paths
from pipeline.core.errors import PipelineError


def add(parser: argparse.ArgumentParser) -> None:
    """Add --model, --tracking and --whole to `parser`."""
    model = "an .h5 file, an MLflow run's id, models:/NAME@ALIAS"
    parser.add_argument("--model", default=str(paths.weights("best")), help=f"{model}; %(default)s without it")
    parser.add_argument("--tracking", help="where runs are: an option of conf/tracking/; params.yaml's without it")
    parser.add_argument("--whole", action="store_true", help="take each picture as one face")


def refuse(asked: argparse.Namespace, names: tuple[str, ...], where: str) -> None:
    """Raise PipelineError where one of the options `names` is given, which mean nothing `where`, as "with --whole"."""
    for name in names:
        if getattr(asked, name.replace("-", "_")):
            raise PipelineError(f"--{name} means nothing {where}; accepted: the same without it")
