"""What goes wrong with a store of runs, and how it is told."""

import re

_LOGIN = re.compile(r"://(?:[^\s/?#]*|[^\s/?#:@\[]*:(?!\d+(?:[/?#,\s\"')]|$))[^\s@]*)@")
"""What stands between :// and the host: all up to the last @ before the path, for a password may have an @ too.

Where there is none before it, SQLAlchemy takes all up to the first @, so a password may have a / or a ? as well; but
what follows HOST:PORT is a path.
"""
_QUERY = re.compile(r"(://[^\s?\"]*)\?[^\s\"]+")


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
    return without_password(cause[1] if cause else line)[:200]  # cut before, an address may lack what ends its password


def without_password(text: str) -> str:
    """Return `text` with *** for user and password of any address in it, and for its query, which may have some too."""
    return _QUERY.sub(r"\1?***", _LOGIN.sub("://***@", text))
