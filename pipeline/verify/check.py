"""Values that were recorded, beside those that are found now."""

import math
from typing import Any

from pipeline.core.nested import flatten

LAST_BITS = 1e-11
"""How far the sums of numpy may differ where what they sum up is equal: processors add in another order."""


class Check:
    """One thing that is verified: how many values of it, the largest difference, and a line for each that is wrong."""

    def __init__(self, what: str):
        """Begin with nothing compared; `what` names the file, and what it is held against."""
        self.what = what
        self.values = 0
        self.largest = 0.0
        self.wrong: list[str] = []
        self.rule = ""

    def compare(self, recorded: Any, found: Any, slack: Any = 0.0) -> None:
        """Compare two values, or the values of two nested dictionaries and lists, key by key.

        Numbers may differ by `slack`: one number for all, or a dictionary that has one where `recorded` has a number.
        """
        old, new, allowed = (flatten(_keyed({"": value})) for value in (recorded, found, slack))
        for key in old | new:
            self.values += 1
            before, now = old.get(key, "missing"), new.get(key, "missing")
            far = distance(before, now)
            self.largest = max(self.largest, far if math.isfinite(far) else 0.0)
            if far > allowed.get(key, allowed.get("", 0.0)):
                self.wrong.append(f"{self.what}: {key.strip('.') or 'it'} is {before}, found {now}")

    def compare_scores(self, recorded: Any, found: Any, slack: Any, alike: bool) -> None:
        """Compare scores, which must be the same where the machines are `alike`, and else within `slack`."""
        self.rule = ", exactly" if alike else ", within the tolerance"
        self.compare(recorded, found, LAST_BITS if alike else slack)

    def line(self) -> str:
        """Return what came of it."""
        wrong = f", {len(self.wrong)} WRONG" if self.wrong else ""
        return f"{self.what}: {self.values:,} values{self.rule}, largest difference {self.largest:.2g}{wrong}"


def distance(before: Any, now: Any) -> float:
    """Return how far two values are apart: numbers by their difference, others not at all or infinitely far."""
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in (before, now))
    if before == now or not numbers:
        return 0.0 if before == now else math.inf
    return abs(before - now)


def _keyed(value: Any) -> Any:
    if isinstance(value, list):
        value = dict(enumerate(value))
    return {str(key): _keyed(v) for key, v in value.items()} if isinstance(value, dict) else value
