"""The one error that a user is shown without a traceback."""


class PipelineError(Exception):
    """Something the user can mend; the message says what, where, and what would be accepted."""
