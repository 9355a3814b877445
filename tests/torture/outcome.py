"""What came of a fault."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """One fault that was made: its kind, as a line of the table calls it, and what was lost by it, if anything was."""

    fault: str
    lost: str | None = None
