"""The object that MLflow serves: a row for each face of each picture, the largest first, or for the largest alone."""

import cv2
import numpy as np
import pytest

from pipeline.serve.served import ServedModel
from tests import scenes


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> ServedModel:
    scenes.grey_classifier(folder := tmp_path_factory.mktemp("model"))
    return ServedModel(folder / "model.h5", "haar")


def test_all_faces_of_a_picture_are_answered_for_the_largest_first_or_alone(served):
    two = scenes.scene([(40, 60), (300, 40)])
    two = np.hstack([two, cv2.resize(scenes.scene([(40, 60)]), None, fx=2, fy=2)[:480]])  # a third, twice as large
    pictures = [np.full((90, 200), 90), two, np.full((48, 48), 200)]
    rows = served.predict(pictures)
    assert rows["picture"].tolist() == [0, 1, 1, 1, 2]
    assert rows["face"].fillna(0).tolist() == [0, 1, 2, 3, 1]
    sides = rows["side"][1:4].tolist()
    assert sides == sorted(sides, reverse=True)
    assert sides[0] > 1.5 * sides[1]
    assert rows["prediction"][0] == "no face"
    assert rows["prediction"][4] == "happy"
    largest = served.predict(pictures, {"largest": True})
    assert largest["picture"].tolist() == [0, 1, 2]
    assert largest["side"][1] == sides[0]
