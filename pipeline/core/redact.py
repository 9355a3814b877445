"""Removes passwords and tokens from text that is printed or stored."""

import re

_LOGIN = re.compile(r"://(?:[^\s/?#]*|[^\s/?#:@\[]*:(?!\d+(?:[/?#,\s\"')]|$))[^\s@]*)@")
"""Between :// and the host: everything up to the last @ before the path, because a password may contain an @.

If there is none before the path, SQLAlchemy takes everything up to the first @, so a password may contain a / or a ? as
well; but what follows HOST:PORT is a path.
"""
_QUERY = re.compile(r"(://[^\s?\"]*)\?[^\s\"]+")


def redact(text: str) -> str:
    """Return `text` with *** for the user and password of every address in it, and for its query."""
    return _QUERY.sub(r"\1?***", _LOGIN.sub("://***@", text))
