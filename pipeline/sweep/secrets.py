"""What sweeps and searches must not be given: Hydra and MLflow keep their commands as they are."""

from pipeline.core.errors import PipelineError
from pipeline.core.redact import redact


def refuse(overrides: list[str]) -> None:
    """Raise PipelineError where one of `overrides` is an address with a password, or with a query: it may be a token.

    The path of an SQLite file has neither, whatever signs it has.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if redact(value) != value and not value.lstrip("'\"").startswith("sqlite:"):
            raise PipelineError(
                f"{key} is an address with a password or a token, and a sweep keeps its command; accepted: one "
                "without; FER2013_ARCHIVE and MLFLOW_TRACKING_URI in the environment may have them"
            )
