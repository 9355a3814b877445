"""Exported models: LiteRT and ONNX files predict as the .h5 does; a file that does not is deleted."""

import csv
import re
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import models
from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.data import arrays, batches
from pipeline.export import formats
from pipeline.export.__main__ import main
from pipeline.models import runtimes, saved
from pipeline.models.saved import ModelInfo
from tests.conftest import Project

ARCHITECTURES = ("mini_xception", "patch_cnn")
"""The architectures with layers that a converter may not support; the others have only common layers."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_the_same_probabilities_in_every_runtime(config, name, tmp_path):
    net = models.build(config(f"model={name}").model, 7)
    images = np.random.default_rng(0).random((5, 48, 48, 1), dtype=np.float32)
    net.save(tmp_path / "model.h5", include_optimizer=False)
    expected = net.predict(images, verbose=0)
    for kind, ending in formats.ENDINGS.items():
        formats.write(net, kind, tmp_path / f"model{ending}", images)
    for ending in (".h5", ".tflite", ".onnx"):
        predict = runtimes.load(tmp_path / f"model{ending}")
        np.testing.assert_allclose(predict(images), expected, atol=1e-5)
        np.testing.assert_allclose(predict(images[:1]), expected[:1], atol=1e-5)
    quantized = runtimes.load(tmp_path / "model-int8.tflite")(images)
    np.testing.assert_allclose(quantized.sum(axis=1), 1, atol=0.02)
    assert (tmp_path / "model-int8.tflite").stat().st_size < 0.6 * (tmp_path / "model.tflite").stat().st_size


@pytest.fixture
def trained(finished, tmp_path) -> Project:
    """Return a project with a linear model that was trained on val and test, and is correct and confident on them."""
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns(".dvc", "mlruns", "results"))
    project = Project(copy)
    emotions = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    splits = [arrays.load(project.path("data/arrays/synthetic"), name, emotions) for name in ("val", "test")]
    images = np.concatenate([batches.to_unit(split.images()).numpy() for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    net = dense(7)
    net.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    net.fit(images, labels, epochs=150, verbose=0)
    saved.save(net, project.path("models/model.h5"), ModelInfo(emotions, 1.5, 0.25))
    return project


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
class TestCommand:
    def test_the_files_are_beside_the_model_with_their_scores(self, trained):
        printed = trained.stage("export").stdout
        rows = list(csv.DictReader(trained.path("models/model-export.csv").open()))
        assert [row["file"] for row in rows] == ["model.h5", "model.tflite", "model-int8.tflite", "model.onnx"]
        for row in rows:
            assert float(row["agreement"]) == float(row["val_accuracy"]) == float(row["test_accuracy"]) == 1
            assert int(row["bytes"]) == trained.path(f"models/{row['file']}").stat().st_size
            assert f"{row['file']} " in printed
        predict, info = runtimes.load_exported(trained.path("models/model.h5"))
        assert info == ModelInfo(list(EMOTIONS), 1.5, 0.25)
        images = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
        keras_own = saved.load(trained.path("models/model.h5")).predict(images, verbose=0)
        np.testing.assert_allclose(predict(images), keras_own, atol=1e-5)

    def test_a_file_that_was_exported_from_another_model_is_not_used(self, trained):
        trained.stage("export")
        saved.save(dense(7), trained.path("models/model.h5"), ModelInfo(list(EMOTIONS), 1.0, 0.0))
        assert runtimes.load_exported(trained.path("models/model.h5")) is None

    def test_a_file_with_other_predictions_is_not_kept(self, trained):
        net = saved.load(trained.path("models/model.h5"))
        kernel, bias = net.get_weights()
        # int8 has 256 steps for all emotions' scores together: one that is far away leaves none for the others.
        kernel[:, 1], bias[1] = 0, -1e6
        net.set_weights([kernel, bias])
        saved.save(net, trained.path("models/model.h5"), ModelInfo(list(EMOTIONS), 1.0, 0.0))
        for name in ("model-int8.tflite", "model-export.csv"):
            trained.path(f"models/{name}").write_text("of another model")
        done = trained.stage("export", check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("error: not kept: model-int8.tflite has a val_accuracy of")
        kept = ["model.h5", "model.tflite", "model.onnx"]
        assert [row["file"] for row in csv.DictReader(trained.path("models/model-export.csv").open())] == kept
        assert {p.name for p in trained.path("models").iterdir()} == {*kept, "model-export.csv"}

    def test_the_emotions_are_those_of_the_model(self, trained):
        model = trained.path("runs/lr=0.01/model.h5")
        model.parent.mkdir(parents=True)
        trained.path("models/model.h5").rename(model)
        three_emotions(model, ["surprise", "angry", "happy"])
        printed = trained.stage("export", "runs/lr=0.01/model.h5", "data=synthetic").stdout
        assert printed.splitlines()[0] == "runs/lr=0.01/model.h5: surprise, angry, happy"
        for row in csv.DictReader(model.with_name("model-export.csv").open()):
            assert float(row["agreement"]) == float(row["val_accuracy"]) == float(row["test_accuracy"]) == 1

    def test_an_emotion_of_which_there_are_no_images_is_refused(self, trained):
        three_emotions(trained.path("models/model.h5"), ["surprise", "smile", "happy"])
        older = trained.path("models/model.onnx")
        older.write_text("an older one")
        done = trained.stage("export", check=False)
        assert done.returncode == 1
        assert "has the emotion smile, and synthetic has no images of it; accepted: data=NAME" in done.stderr
        assert "Traceback" not in done.stderr
        assert older.exists()


def dense(outputs: int) -> keras.Sequential:
    return keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(outputs, "softmax")])


def three_emotions(path: Path, classes: list[str]) -> None:
    """Replace the model in `path` by one with the outputs surprise, angry and happy, whose classes are `classes`."""
    kernel, bias = saved.load(path).get_weights()
    net = dense(3)
    net.set_weights([kernel[:, [6, 0, 3]], bias[[6, 0, 3]]])
    saved.save(net, path, ModelInfo(classes, 1.0, 0.0))


@pytest.mark.parametrize("other", ["nothing.h5", "params.yaml", "data.classes=[happy,sad]"])
def test_anything_but_a_model_and_a_dataset_is_refused(other):
    with pytest.raises(PipelineError, match=f"{re.escape(other)} is not an .h5 file; accepted: .* and data=NAME"):
        main.__wrapped__([str(paths.weights("small")), "data=synthetic", other])


@pytest.mark.parametrize("name", ["model.h5", "model.tflite", "model.onnx"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a model at all")
    with pytest.raises(PipelineError, match=f"{name} is not a readable"):
        runtimes.load(tmp_path / name)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"accepted: \.h5, \.tflite, \.onnx"):
        runtimes.load(tmp_path / "model.pt")


def test_a_format_whose_package_is_not_installed_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(PipelineError, match=r"model\.onnx needs the package onnxruntime; `make export` installs it"):
        runtimes.load(tmp_path / "model.onnx")
    with pytest.raises(PipelineError, match=r"not installed: onnxruntime; `make export`"):
        main.__wrapped__(["weights/best.h5"])
