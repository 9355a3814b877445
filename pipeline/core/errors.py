"""The error that is shown without a traceback."""


class PipelineError(Exception):
    """A mistake that the user can correct; the message says what, where, and what is accepted."""
