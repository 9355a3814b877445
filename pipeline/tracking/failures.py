"""What goes wrong with a store of runs, and how it is told."""

import re

from pipeline.core.redact import redact


def failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises where its store fails: also what the libraries below it raise."""
    import requests
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # The last is that of a damaged file.
    return MlflowException, requests.RequestException, SQLAlchemyError, UnicodeDecodeError


def reason(error: Exception) -> str:
    """Return what went wrong in a line of at most 200 letters, without a password."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    cause = re.search(r"\(Caused by (.*)\)", line)  # of a connection, behind a long address
    return redact(cause[1] if cause else line)[:200]  # cut before, an address may lack what ends its password
