"""Published figures of the notebook project, which trained on all emotions of FER-2013 for 60 epochs."""

from collections.abc import Iterable

from pipeline.core.constants import EMOTIONS

ACCURACY = {"train": 0.5422, "kaggle_test": 0.5243}
PARAMETERS = 167_239
INSPECTION = "3 of 7"
"""How many of the images that the notebook shows it classifies correctly."""


def comparable(data: str, classes: Iterable[str]) -> bool:
    """Return whether a model trained on these classes of dataset `data` has the notebook's task."""
    return data == "fer2013" and set(classes) == set(EMOTIONS)
