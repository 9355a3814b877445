"""The parts of the suite: a module each, whose `faults` makes faults one after the other and says what came of each."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.torture.outcome import Outcome

PARTS = ("crash", "places", "storage", "server", "input", "models", "secrets", "attack")


def faults(part: str, folder: Path, short: bool) -> Iterator[Outcome]:
    """Make the faults of `part` in copies of the project below `folder`, a few of each kind where `short`."""
    yield from import_module(f"tests.torture.{part}").faults(folder, short)
