"""What sweeps and searches must not be given: Hydra and MLflow keep their commands as they are."""

import re

from pipeline.core.errors import PipelineError

SECRET = re.compile(r"://[^/\s]*@|https?://\S*\?")
"""An address with a user and a password, or with a query, which may be a token."""


def refuse(overrides: list[str]) -> None:
    """Raise PipelineError where one of `overrides` is an address with a password or a token in it."""
    for override in overrides:
        key, _, value = override.partition("=")
        if SECRET.search(value):
            raise PipelineError(
                f"{key} is an address with a password or a token, and a sweep keeps its command; accepted: one "
                "without; FER2013_ARCHIVE and MLFLOW_TRACKING_URI in the environment may have them"
            )
