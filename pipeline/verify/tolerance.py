"""How far scores may differ: not at all where this machine rounds as theirs did, a little elsewhere.

And how far those of a network may that was trained anew, where rounding made it another one.

Whether it does, versions and the processor's name do not tell for certain: processors of one name have different
instructions. What is computed first, probabilities or losses, shows it: equal to the last bit or not.
"""

import statistics
from typing import Any

from pipeline.core import provenance

PROBABILITY = 1e-4
"""What rounding makes of a probability, and of the numbers that are means of their logarithms, on other hardware."""
IMAGES = 2
"""How many images, of those that a share is of, may be on its other side for that."""
TRAINED = 0.025
"""How far the accuracy of a network trained anew may be from that recorded, where a single weight is another one.

Rounding grows over the steps until the network is as another seed's: docs/recipes.md has the spread of those, a
standard deviation of 0.6 points on test over the eleven networks of three recipes. This is about three times
that of a difference between two.
"""
STATED_TRAINED = f"within {100 * TRAINED} points"
VERSIONS = ("python", "tensorflow", "keras", "numpy")
HARDWARE = ("processor", "cores", "platform")
STATED = f"within {PROBABILITY} of a probability, loss or temperature, and {IMAGES} images of a share"


def changed(record: dict[str, Any]) -> str | None:
    """Return what is another here than where `record` (its versions and hardware) was made, None where nothing is."""
    both = ((VERSIONS, "versions", provenance.versions()), (HARDWARE, "hardware", provenance.hardware()))
    found = [
        f"{key} {now[key]}, not {record[part][key]}"
        for keys, part, now in both
        for key in keys
        if record[part][key] != now[key]
    ]
    return "; ".join(found) or None


def of_scores(scores: dict[str, Any]) -> dict[str, Any]:
    """Return how far each number of `scores`, nested splits as `evaluate.scored` returns them, may differ."""
    return {
        key: _of_split(value) if "emotions" in value else of_scores(value)
        for key, value in scores.items()
        if isinstance(value, dict)
    } | {key: PROBABILITY for key in scores if key == "temperature"}


def of_share(images: int) -> float:
    """Return how far a share of so many images may differ."""
    return IMAGES / max(images, 1) + 1e-12  # their difference is rounded too


def of_sure(sure: dict[str, float], images: int) -> dict[str, float]:
    """Return how far the share of sure answers among so many images, and the share of right ones among those, may."""
    return {"share": of_share(images), "accuracy": of_share(round(sure["share"] * images))}


def _of_split(scores: dict[str, Any]) -> dict[str, Any]:
    share = of_share(scores["images"])
    each = {name: of_share(e["images"]) for name, e in scores["emotions"].items()}
    means = dict.fromkeys(("macro_f1", "balanced_accuracy"), statistics.mean(each.values()))
    shares = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), share)
    emotions = {name: dict.fromkeys(("precision", "recall", "f1"), slack) for name, slack in each.items()}
    return {**shares, **means, "loss": PROBABILITY, "ece": share + PROBABILITY, "emotions": emotions}
