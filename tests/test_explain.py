"""Grad-CAM: its maps mark the regions that a prediction depends on, for every architecture with convolutions."""

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
def local_model() -> keras.Model:
    """Return a model that predicts happy from light regions and angry from dark ones, by the mean of a feature map."""
    layers = [keras.layers.AveragePooling2D(4), keras.layers.Conv2D(7, 1), keras.layers.ReLU()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]
    net = keras.Sequential([keras.Input((48, 48, 1)), *layers])
    kernel, bias = np.zeros((1, 1, 1, 7), np.float32), np.zeros(7, np.float32)
    kernel[..., 0], kernel[..., 3], bias[0], bias[3] = -60, 60, 30, -30
    net.layers[1].set_weights([kernel, bias])
    return net


def test_a_map_marks_the_region_that_supports_the_emotion(local_model):
    images = np.full((2, 48, 48, 1), 0.5, np.float32)
    images[:, 4:12, 32:40], images[:, 28:36, 8:16] = 1.0, 0.0
    happy, angry = gradcam.maps(local_model, images, np.array([3, 0]))
    for found, rows, columns in ((happy, range(4, 12), range(32, 40)), (angry, range(28, 36), range(8, 16))):
        row, column = np.unravel_index(found.argmax(), found.shape)
        assert row in rows
        assert column in columns
        assert found.min() >= 0
        assert found.max() == pytest.approx(1, abs=1e-6)


def test_a_map_is_empty_if_nothing_supports_the_emotion(local_model):
    (fear,) = gradcam.maps(local_model, np.zeros((1, 48, 48, 1), np.float32), np.array([2]))
    assert (fear == 0).all()


@pytest.mark.parametrize("name", sorted({path.stem for path in (paths.CONF / "model").glob("*.yaml")} - {"linear"}))
def test_every_architecture_with_convolutions_has_maps(config, name):
    net = models.build(config(f"model={name}").model, 7)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    face = {"pixels": pixels, "truth": "fear", "prediction": "happy"}
    (found,) = gradcam.explain(net, [face], list(EMOTIONS))
    assert set(found["maps"]) == {"fear", "happy"}
    assert all(each.shape == (48, 48) and np.isfinite(each).all() for each in found["maps"].values())


@pytest.mark.parametrize("settings", [["model.crop=0", "model.patch=12"], ["model.crop=4", "model.patch=8"]])
def test_an_architecture_with_coarse_feature_maps_has_maps(config, settings):
    keras.utils.set_random_seed(0)  # 1 in 40 initial weights give an empty map
    net = models.build(config("model=patch_cnn", "model.widths=[8, 16]", *settings).model, 7)
    images = np.random.default_rng(0).random((2, 48, 48, 1), np.float32)
    assert gradcam.maps(net, images, np.array([3, 0])).max() == pytest.approx(1)


def test_an_architecture_without_convolutions_has_no_maps(config):
    net = models.build(config("model=linear").model, 7)
    face = {"pixels": np.zeros((48, 48), np.uint8), "truth": None, "prediction": "happy"}
    assert gradcam.explain(net, [face], list(EMOTIONS)) == []


def test_pictures_are_read_until_there_are_enough_faces(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(explain.MAX_FACES):
        Image.new("L", (60, 50), 10 * i).save(tmp_path / f"pictures/{i:02}.png")
    (tmp_path / "pictures/last.png").write_text("no picture")
    (tmp_path / "pictures/a film.mp4").write_text("not a video: it is skipped")
    classifier = scenes.grey_classifier(tmp_path)
    assert len(explain.detect_faces(classifier, [str(tmp_path / "pictures")], whole=True)) == explain.MAX_FACES
    (tmp_path / "pictures/00.png").unlink()
    with pytest.raises(PipelineError, match=r"last\.png is not a readable picture"):
        explain.detect_faces(classifier, [str(tmp_path / "pictures")], whole=True)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "a film.mp4").touch()
    with pytest.raises(PipelineError, match=f"no picture in {tmp_path}; accepted: .apng .avif .bmp .gif "):
        explain.detect_faces(None, [str(tmp_path)], whole=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.png --data synthetic", "--data has no effect with pictures; accepted: "),
        ("a.png --split test", "--split has no effect with pictures; accepted: "),
        ("a.png --images 0", "--images has no effect with pictures; accepted: "),
        ("--whole", "--whole has no effect without pictures; accepted: "),
        ("--detector haar", "--detector has no effect without pictures; accepted: "),
        ("a.png --whole --detector haar", "--detector has no effect with --whole; accepted: "),
        ("--images a", "--images a; accepted: numbers from 0, separated by commas"),
        ("--out x.jpg", "x.jpg does not end in .png; accepted: a name that ends in .png"),
    ],
)
def test_options_without_effect_are_refused(arguments, message):
    with pytest.raises(PipelineError, match=message):
        explain.main.__wrapped__(arguments.split())


def test_too_many_images_are_refused():
    with pytest.raises(PipelineError, match="25 images are chosen; accepted: at most 24"):
        explain.split_examples(None, "fer2013", "val", list(range(explain.MAX_FACES + 1)))


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
            (["empty.png", "--detector", "haar"], "no face is found; --whole treats each picture as one"),
            (["empty.png", "film.MP4"], "film.MP4 is a video; accepted: pictures, and folders of pictures"),
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
