"""Faces are detected where they are, and cropped like the faces of FER-2013."""

import tracemalloc

import cv2
import numpy as np
import onnx
import pytest

from pipeline.core.errors import PipelineError
from pipeline.download import synthetic
from pipeline.faces import camera, detection
from pipeline.faces.detection import Box
from tests import yunet
from tests.scenes import SIDE, scene

OVERLAP = 0.25
"""At least, of a found box and a face. Boxes reach 0.4 to 0.9; OpenCV's instruction sets change that by 0.05."""


DETECTORS = [detection.HAAR, pytest.param(str(yunet.FILE), marks=yunet.needed, id="yunet")]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("times", [1, 3])
def test_faces_are_found_where_they_are_also_in_a_frame_larger_than_the_detector_sees(name, times):
    places = [(40, 60), (300, 40), (460, 300), (100, 330)]
    matched = []
    for seed in (0, 1, 2, 4):
        found = detection.load(name)(cv2.resize(scene(places, seed), None, fx=times, fy=times))
        real = [Box(times * x, times * y, times * SIDE) for x, y in places]
        matched += [max((camera.overlap(box, other) for other in found), default=0) > OVERLAP for box in real]
        assert all(max(camera.overlap(box, other) for other in real) > OVERLAP for box in found)
        assert [box.side for box in found] == sorted((box.side for box in found), reverse=True)
    assert sum(matched) >= 14  # of 16: the cascade is made for photographs


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("shape", [(300, 300), (1, 900), (1, 2500), (3000, 1), (2, 60_000)])
def test_there_are_none_in_an_empty_frame_or_a_strip(name, shape):
    assert detection.load(name)(np.full((*shape, 3), 90, np.uint8)) == []


def test_a_file_that_is_not_a_detector_is_refused_before_it_is_used(tmp_path):
    given, found = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 3, 320, 320]) for n in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "relu", [given], [found])
    relu = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)])
    for content in (b"no model", b"", relu.SerializeToString()):
        (tmp_path / "relu.onnx").write_bytes(content)
        with pytest.raises(PipelineError, match=r"relu\.onnx is not a YuNet model"):
            detection.load(str(tmp_path / "relu.onnx"))


def test_a_detector_that_is_no_name_and_no_file_is_refused():
    with pytest.raises(PipelineError, match=r"--detector nobody is no file; accepted: yunet, haar, a YuNet model's"):
        detection.load("nobody", when_needed=True)


@yunet.needed
def test_in_12_megapixels_small_faces_and_one_of_the_whole_height_are_found():
    frame = np.full((3000, 4000, 3), 150, np.uint8)
    real = [
        Box(1200, 100, 2800),
        Box(300, 400, 60),
        Box(700, 2500, 54),
        Box(100, 1600, 300),
    ]  # a drawn face has three quarters of it
    drawn = synthetic.render(np.arange(40) % 7, np.random.default_rng(1))[5]
    for box in real:
        face = cv2.resize(drawn, (box.side, box.side), interpolation=cv2.INTER_AREA)
        frame[box.y : box.y + box.side, box.x : box.x + box.side] = face[:, :, None]
    found = detection.load(str(yunet.FILE))(frame)
    assert [max(camera.overlap(box, other) for other in found) > OVERLAP for box in real] == [True] * 4
    assert len(found) == 4


@yunet.needed
@pytest.mark.parametrize("angle", [-20, 20, 40])
def test_a_turned_face_is_found_and_set_upright(angle):
    upright = scene([(260, 180)], seed=1)
    turn = cv2.getRotationMatrix2D((320, 240), -angle, 1)
    frame = cv2.warpAffine(upright, turn, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    (box,) = detection.load(str(yunet.FILE))(frame)
    assert box.angle == pytest.approx(angle, abs=18)
    centre = turn @ (320, 240, 1)
    assert np.hypot(box.x + box.side / 2 - centre[0], box.y + box.side / 2 - centre[1]) < 20


@pytest.mark.parametrize("angle", [-170, -45, 0, 10, 90])
def test_a_turned_box_is_cropped_upright(angle):
    face = np.zeros((96, 96), np.uint8)
    face[10:40, 20:30], face[60:70, 50:90] = 250, 160
    frame = cv2.copyMakeBorder(face, 152, 152, 152, 152, cv2.BORDER_CONSTANT, value=0)
    turn = cv2.getRotationMatrix2D((199.5, 199.5), -angle, 1)  # clockwise
    frame = cv2.cvtColor(cv2.warpAffine(frame, turn, (400, 400)), cv2.COLOR_GRAY2BGR)
    expected = cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(detection.crop(frame, Box(152, 152, 96, angle)) - expected).mean() < 3


def test_an_image_of_fer2013_as_one_face_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    frame = np.repeat(pixels[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(detection.crop(frame, *detection.whole(frame)), pixels)


def test_beyond_the_frame_its_edge_is_repeated():
    frame = np.full((60, 60, 3), 10, np.uint8)
    frame[:, 40:] = 200
    cut = detection.crop(frame, Box(36, 6, 48))
    assert (cut[:, 4:] == 200).all()
    assert (cut[:, :4] == 10).all()


def test_a_long_frame_as_one_face_is_not_distorted():
    frame = np.zeros((48, 96, 3), np.uint8)
    frame[20:28, 44:52] = 255  # a square stays one
    cut = detection.crop(frame, *detection.whole(frame))
    rows, columns = (cut > 128).any(axis=1).sum(), (cut > 128).any(axis=0).sum()
    assert rows == columns == 4


@pytest.mark.parametrize("shape", [(1, 40_000), (40_000, 1), (9, 40_000)])
def test_a_strip_as_one_face_needs_no_memory_for_the_square_around_it(shape):
    frame = np.zeros((*shape, 3), np.uint8)
    frame[shape[0] // 2 :, shape[1] // 2 if shape[1] > 1 else 0 :] = 200
    tracemalloc.start()
    try:
        cut = detection.crop(frame, *detection.whole(frame))
        assert tracemalloc.get_traced_memory()[1] < 150_000_000  # of 1,600,000,000 pixels
    finally:
        tracemalloc.stop()
    assert cut[0, 0] == 0
    assert cut[-1, -1] == 200
