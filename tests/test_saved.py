"""A model's file: Keras' own format, with what the outputs mean; damage and code are refused."""

import hashlib
import json
import resource

import h5py
import keras
import numpy as np
import pytest

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.models import saved
from pipeline.train import checkpoint
from tests import hostile
from tests.hostile import FACTS


@pytest.fixture
def path(tmp_path):
    return hostile.network(tmp_path / "models" / "model.h5")


def test_the_info_comes_back_and_keras_reads_the_file(path):
    assert saved.info(path, 3) == FACTS
    assert keras.models.load_model(path, compile=False).output_shape == (None, 3)
    assert [file.name for file in path.parent.iterdir()] == ["model.h5"]


def test_info_of_another_model_is_refused(path):
    with pytest.raises(PipelineError, match="names 3 classes, and its model has 7 outputs"):
        saved.info(path, 7)


@pytest.mark.parametrize("text", ["{broken", "[1]", '{"classes": 3, "temperature": 1, "threshold": 1}'])
def test_invalid_info_is_refused(path, text):
    with h5py.File(path, "r+") as file:
        file.attrs["facts"] = text
    with pytest.raises(PipelineError, match=r"model\.h5 does not state .*: .+"):
        saved.info(path, 3)


@pytest.fixture
def pinned(path) -> dict[str, str]:
    """Return a model of a checkout by its file and SHA-256."""
    return {"models/model.h5": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_models_are_pinned_by_file_and_digest(path, pinned, tmp_path):
    (model,) = saved.load_pinned(pinned, FACTS.classes, tmp_path)
    assert model.output_shape == (None, 3)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(
        PipelineError, match=r"model\.h5 is another file than .*; its SHA-256: [0-9a-f]{64}, not [0-9a-f]{64}$"
    ):
        saved.load_pinned(pinned, FACTS.classes, tmp_path)
    path.unlink()
    with pytest.raises(PipelineError, match="its SHA-256: missing"):
        saved.load_pinned(pinned, FACTS.classes, tmp_path)


@pytest.mark.parametrize("classes", [FACTS.classes[::-1], ["angry", "fear", "sad"], FACTS.classes[:2]])
def test_a_pinned_model_of_other_classes_is_refused(pinned, classes, tmp_path):
    stated = (
        rf"model\.h5 has the outputs happy, sad, surprise, and the dataset the classes {', '.join(classes)}; accepted"
    )
    with pytest.raises(PipelineError, match=stated):
        saved.load_pinned(pinned, classes, tmp_path)


# Damage


@pytest.mark.parametrize("kept", [0, 0.3, 0.99])
def test_a_file_that_ends_early_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (saved.load, lambda path: saved.info(path, 3)):
        with pytest.raises(PipelineError, match=r"model\.h5 is not a readable Keras model"):
            read(path)


def test_a_huge_file_is_refused_unread(path):
    with open(path, "r+b") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(PipelineError, match=r"model\.h5 has 1,073,741,825 bytes; accepted: at most 1,073,741,824"):
        saved.load(path)


# What would run code, or read other files


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


def test_code_in_a_layer_runs_where_keras_alone_reads_it_and_not_here(path, marker):
    hostile.bytecode(path, marker)
    with pytest.raises(PipelineError, match=r"model\.h5 names 'Lambda' of 'keras'; accepted: a model of Keras' own"):
        saved.load(path)
    assert not marker.exists()
    keras.models.load_model(path, safe_mode=False)
    assert marker.exists()


@pytest.mark.parametrize("write", [hostile.pickled, hostile.renamed])
def test_another_format_under_this_name_is_refused_unread(path, marker, write):
    write(path, marker)
    with pytest.raises(PipelineError, match=r"model\.h5 is not a readable Keras model"):
        saved.load(path)
    assert not marker.exists()


def test_a_name_by_which_keras_reads_another_format_is_refused(path):
    other = path.rename(path.with_suffix(".keras"))
    with pytest.raises(PipelineError, match=r"model\.keras is not an \.h5 file"):
        saved.load(other)


@pytest.mark.parametrize("kind", hostile.layers(paths.ROOT))
def test_a_layer_that_is_not_keras_own_is_refused_by_name(path, marker, kind):
    hostile.with_layer(path, hostile.layers(marker)[kind])
    with pytest.raises(PipelineError, match=r"model\.h5 names '.*' of '.*'; accepted: a model of Keras' own layers"):
        saved.load(path)
    assert not marker.exists()


@pytest.mark.parametrize("kind", hostile.ELSEWHERE)
def test_weights_outside_the_file_are_refused(path, kind):
    hostile.elsewhere(path, kind)
    with pytest.raises(PipelineError, match=r"is a link; accepted|is in another file|at most 1,073,741,824"):
        saved.load(path)


@pytest.mark.parametrize("kind", hostile.LARGE)
def test_a_model_that_needs_much_memory_is_refused_before_it_is_allocated(path, kind):
    hostile.large(path, kind)
    assert path.stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PipelineError, match=rf"model\.h5 .*{hostile.LARGE[kind]}"):
        saved.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB on Linux


@pytest.mark.parametrize("shape", [(64, 64, 1), (48, 48, 3), (2304,)])
def test_a_model_of_other_images_is_refused_if_they_cannot_be_scaled_to_its_input(path, shape):
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(path)
    given = "x".join(map(str, shape))
    with pytest.raises(PipelineError, match=rf"model\.h5 takes {given}; accepted: a model of grey 48x48 images"):
        saved.load(path)
    if shape == (64, 64, 1):
        assert saved.load(path, any_size=True).input_shape == (None, 64, 64, 1)
    else:
        with pytest.raises(PipelineError, match=rf"takes {given}; accepted: a model of square grey images"):
            saved.load(path, any_size=True)


def test_a_model_of_keras_2_is_read(path):
    """As published ones are written: no modules, class Model, l2 in one dictionary, nodes as lists."""
    images = keras.Input((48, 48, 1), name="input_1")
    layers = [
        keras.layers.SeparableConv2D(4, 3, use_bias=False, depthwise_regularizer=keras.regularizers.L1L2(0, 0.01)),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    out = images
    for layer in layers:
        out = layer(out)
    net = keras.Model(images, out)
    net.save(path)
    with h5py.File(path, "r+") as file:
        config = _of_keras_2(json.loads(file.attrs["model_config"]))
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps({**config, "class_name": "Model"})
    faces = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
    assert np.array_equal(saved.load(path).predict(faces, verbose=0), net.predict(faces, verbose=0))


def _of_keras_2(part):
    """Return a part of a configuration as Keras 2 wrote it."""
    if isinstance(part, list):
        return [_of_keras_2(each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "DTypePolicy":
        return part["config"]["name"]
    if part.get("class_name") == "InputLayer":
        config = {"batch_input_shape": [None, 48, 48, 1], "dtype": "float32", "sparse": False, "name": "input_1"}
        return {"name": "input_1", "class_name": "InputLayer", "config": config, "inbound_nodes": []}
    if "keras_history" in str(part.get("inbound_nodes")):
        history = part["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
        part = {**part, "inbound_nodes": [[[*history, {}]]]}
    return {key: _of_keras_2(each) for key, each in part.items() if key not in ("module", "registered_name")}


def test_a_checkpoint_with_a_pickle_is_refused_unread(path, marker):
    folder = path.parent
    np.savez(folder / "state.npz", weight_0=np.array([hostile.Planted(marker)], object))
    assert checkpoint.Checkpoint(folder).restore(keras.models.load_model(path)) is None
    assert not marker.exists()
