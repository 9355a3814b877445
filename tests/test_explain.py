"""Grad-CAM: it points to what an answer depends on, for every network that has maps."""

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline import models
from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.explain import __main__ as explain
from pipeline.metrics import gradcam
from tests import scenes
from tests.conftest import Project


@pytest.fixture
def watching() -> keras.Model:
    """Return a network that says happy where a picture is light, and angry where it is dark, by the mean of a map."""
    net = keras.Sequential([keras.Input((48, 48, 1))])
    net.add(keras.layers.AveragePooling2D(4))
    net.add(keras.layers.Conv2D(7, 1))
    net.add(keras.layers.ReLU())
    net.add(keras.layers.GlobalAveragePooling2D())
    net.add(keras.layers.Softmax())
    kernel, bias = np.zeros((1, 1, 1, 7), np.float32), np.zeros(7, np.float32)
    kernel[..., 0], kernel[..., 3], bias[0], bias[3] = -60, 60, 30, -30
    net.layers[1].set_weights([kernel, bias])
    return net


def test_a_map_points_to_what_speaks_for_the_emotion(watching):
    images = np.full((2, 48, 48, 1), 0.5, np.float32)
    images[:, 4:12, 32:40], images[:, 28:36, 8:16] = 1.0, 0.0
    happy, angry = gradcam.maps(watching, images, np.array([3, 0]))
    assert np.unravel_index(happy.argmax(), happy.shape)[0] in range(4, 12)
    assert np.unravel_index(happy.argmax(), happy.shape)[1] in range(32, 40)
    assert np.unravel_index(angry.argmax(), angry.shape)[0] in range(28, 36)
    assert np.unravel_index(angry.argmax(), angry.shape)[1] in range(8, 16)
    for found in (happy, angry):
        assert found.min() >= 0
        assert found.max() == pytest.approx(1, abs=1e-6)


def test_where_nothing_speaks_for_an_emotion_its_map_is_empty(watching):
    (fear,) = gradcam.maps(watching, np.zeros((1, 48, 48, 1), np.float32), np.array([2]))
    assert (fear == 0).all()


@pytest.mark.parametrize("name", sorted({path.stem for path in (paths.CONF / "model").glob("*.yaml")} - {"linear"}))
def test_every_network_with_convolutions_has_maps(config, name):
    net = models.build(config(f"model={name}").model, 7)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    face = {"pixels": pixels, "truth": "fear", "prediction": "happy"}
    (found,) = gradcam.explained(net, [face], list(EMOTIONS))
    assert set(found["maps"]) == {"fear", "happy"}
    assert all(each.shape == (48, 48) and np.isfinite(each).all() for each in found["maps"].values())


@pytest.mark.parametrize("settings", [["model.crop=0", "model.patch=12"], ["model.crop=4", "model.patch=8"]])
def test_a_network_of_coarse_maps_has_them_too(config, settings):
    net = models.build(config("model=patch_cnn", "model.widths=[8, 16]", *settings).model, 7)
    images = np.random.default_rng(0).random((2, 48, 48, 1), np.float32)
    assert gradcam.maps(net, images, np.array([3, 0])).max() == pytest.approx(1)


def test_a_network_without_convolutions_is_not_explained(config):
    net = models.build(config("model=linear").model, 7)
    face = {"pixels": np.zeros((48, 48), np.uint8), "truth": None, "prediction": "happy"}
    assert gradcam.explained(net, [face], list(EMOTIONS)) == []


def test_pictures_are_looked_at_until_there_are_faces_enough(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(explain.MOST):
        Image.new("L", (60, 50), 10 * i).save(tmp_path / f"pictures/{i:02}.png")
    (tmp_path / "pictures/last.png").write_text("no picture")
    (tmp_path / "pictures/a film.mp4").write_text("no video: it is passed over")
    network = scenes.answering(tmp_path)
    assert len(explain.of_pictures(network, [str(tmp_path / "pictures")], whole=True)) == explain.MOST
    (tmp_path / "pictures/00.png").unlink()
    with pytest.raises(PipelineError, match=r"last\.png is no picture"):
        explain.of_pictures(network, [str(tmp_path / "pictures")], whole=True)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "a film.mp4").touch()
    with pytest.raises(PipelineError, match=f"no picture in {tmp_path}; accepted: .bmp .gif .jpeg .jpg "):
        explain.of_pictures(None, [str(tmp_path)], whole=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.png --data synthetic", "--data means nothing with pictures; accepted: "),
        ("a.png --split test", "--split means nothing with pictures; accepted: "),
        ("a.png --images 0", "--images means nothing with pictures; accepted: "),
        ("--whole", "--whole means nothing without pictures; accepted: "),
        ("--images a", "--images a; accepted: numbers from 0, with commas between them"),
        ("--out x.jpg", "x.jpg would hold a PNG picture; accepted: a name with .png at its end"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(arguments, message):
    with pytest.raises(PipelineError, match=message):
        explain.main.__wrapped__(arguments.split())


def test_more_images_than_are_drawn_are_refused():
    with pytest.raises(PipelineError, match="25 images are chosen; accepted: at most 24"):
        explain.of_split(None, "fer2013", "val", list(range(explain.MOST + 1)))


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
class TestCommand:
    def test_images_of_a_split_are_drawn(self, finished: Project, tmp_path):
        out = tmp_path / "out.png"
        arguments = ["--model", "models/model.h5", "--data", "synthetic", "--out", str(out), "--images", "0,3"]
        assert str(out) in finished.stage("explain", *arguments).stdout
        with Image.open(out) as picture:
            assert picture.width > 500

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--data", "synthetic", "--images", "99"], "test has no image 99; accepted: 0 to 13"),
            (["empty.png"], "no face is found; --whole takes each picture as one"),
            (["empty.png", "film.MP4"], "film.MP4 is a video; accepted: pictures, and folders of them"),
            (["--data", "nothing"], "`python -m pipeline.download data=nothing` and `python -m pipeline.preprocess "),
        ],
    )
    def test_a_mistake_is_one_line(self, finished: Project, tmp_path, arguments, message):
        Image.new("L", (100, 100), 90).save(tmp_path / "empty.png")
        arguments = [str(tmp_path / a) if a.endswith("png") else a for a in arguments]
        done = finished.stage("explain", "--model", "models/model.h5", *arguments, check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
