"""The errors of an MLflow store, and their messages."""

import re

from pipeline.core.redact import redact


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of a store that fails: of MLflow and of the libraries that it uses."""
    import requests
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # UnicodeDecodeError is raised for a damaged SQLite file.
    return MlflowException, requests.RequestException, SQLAlchemyError, UnicodeDecodeError


def reason(error: Exception) -> str:
    """Return the message of `error` as one line of at most 200 characters, without passwords."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    cause = re.search(r"\(Caused by (.*)\)", line)  # of a failed connection, after a long address
    return redact(cause[1] if cause else line)[
        :200
    ]  # redact first: a shortened address may lack the end of its password
