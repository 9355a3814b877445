"""Refuses secrets in the commands of sweeps and searches: Hydra and MLflow store these commands."""

import shlex

from pipeline.core.errors import PipelineError
from pipeline.core.redact import redact


def refuse(overrides: list[str]) -> None:
    """Raise PipelineError if one of `overrides` is an address with a password, or with a query, which may be a token.

    The path of an SQLite file is accepted: it has neither.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if redact(value) != value and not value.lstrip("'\"").startswith("sqlite:"):
            raise PipelineError(
                f"{key} is an address with a password or a token, and a sweep stores its command; accepted: an "
                "address without; FER2013_ARCHIVE and MLFLOW_TRACKING_URI in the environment may have them"
            )


def shown(module: str, arguments: list[str]) -> str:
    """Return the command `python -m module arguments`, to store with its results."""
    return redact(shlex.join(["python", "-m", module, *arguments]))
