"""`read`: emotions of faces for a program of one's own."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.faces.read import read, read_all
from tests.conftest import ROOT

FACES = ROOT / "docs" / "faces.jpg"


def test_a_file_and_its_pixels_give_the_same_faces(tmp_path):
    pixels = cv2.imread(str(FACES))
    cv2.imwrite(str(tmp_path / "faces.png"), pixels)  # JPEG may be decoded otherwise by another library
    found = read(tmp_path / "faces.png", detector="haar")
    assert found == read(str(tmp_path / "faces.png"), detector="haar") == read(pixels, detector="haar")
    assert len(found) == 2
    assert [face.box.side for face in found] == sorted((face.box.side for face in found), reverse=True)
    for face in found:
        assert tuple(face.probabilities) == EMOTIONS
        assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert face.confidence == face.probabilities[face.emotion] == max(face.probabilities.values())


def test_the_photographs_of_the_docs_are_read_as_the_docs_say():
    hopper, collins = read(FACES, detector="haar")
    assert (collins.emotion, collins.rejected) == ("happy", "")
    assert collins.confidence > 0.8
    assert hopper.emotion == "neutral"


def test_many_pictures_and_threads_give_what_single_ones_do():
    rng = np.random.default_rng(0)
    grey = [rng.integers(0, 256, (48, 48), np.uint8) for _ in range(8)]
    one_each = [read(picture) for picture in grey]
    assert [len(faces) for faces in one_each] == [1] * 8
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, grey)) == one_each
    for faces, expected in zip(read_all(grey), one_each, strict=True):
        np.testing.assert_allclose([*faces[0].probabilities.values()], [*expected[0].probabilities.values()], atol=1e-5)


@pytest.mark.parametrize(
    "picture", [np.zeros((9, 9)), np.zeros((9, 9, 4), np.uint8), np.zeros((0, 9), np.uint8), np.uint8([1])]
)
def test_an_array_that_is_no_picture_is_refused(picture):
    with pytest.raises(PipelineError, match=r"is no picture; accepted: uint8, \(h, w\) grey or \(h, w, 3\) BGR"):
        read(picture)


def test_a_file_that_is_missing_is_refused():
    with pytest.raises(PipelineError, match=r"no\.jpg is missing"):
        read("no.jpg")
