"""A network's file: what its answers mean stands in it, and it is Keras' own format all the same."""

import hashlib
import json

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


def test_the_facts_come_back_and_keras_reads_the_file(path):
    assert saved.info(path, 3) == FACTS
    assert keras.models.load_model(path, compile=False).output_shape == (None, 3)
    assert [file.name for file in path.parent.iterdir()] == ["model.h5"]


def test_facts_of_another_network_are_refused(path):
    with pytest.raises(PipelineError, match="names 3 emotions, and its network has 7 outputs"):
        saved.info(path, 7)


@pytest.mark.parametrize("text", ["{broken", "[1]", '{"classes": 3, "temperature": 1, "threshold": 1}'])
def test_facts_that_are_none_are_refused(path, text):
    with h5py.File(path, "r+") as file:
        file.attrs["facts"] = text
    with pytest.raises(PipelineError, match=r"model\.h5 does not say .*: .+"):
        saved.info(path, 3)


@pytest.fixture
def named(path, monkeypatch) -> dict[str, str]:
    """Return a network of a checkout by its file and SHA-256."""
    monkeypatch.setattr(paths, "ROOT", path.parent.parent)
    return {"models/model.h5": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_networks_are_named_by_file_and_digest(path, named):
    (network,) = saved.load_pinned(named, FACTS.classes)
    assert network.output_shape == (None, 3)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(PipelineError, match=r"model\.h5 is not the network that is named; .*accepted: [0-9a-f]{64}$"):
        saved.load_pinned(named, FACTS.classes)
    path.unlink()
    with pytest.raises(PipelineError, match="its SHA-256: missing"):
        saved.load_pinned(named, FACTS.classes)


@pytest.mark.parametrize("classes", [FACTS.classes[::-1], ["angry", "fear", "sad"], FACTS.classes[:2]])
def test_a_named_network_of_other_emotions_is_refused(named, classes):
    said = rf"model\.h5 has the outputs happy, sad, surprise, and the data the emotions {', '.join(classes)}; accepted"
    with pytest.raises(PipelineError, match=said):
        saved.load_pinned(named, classes)


# Damage


@pytest.mark.parametrize("place", [0, 0.01, 0.5, 0.999])
def test_one_changed_bit_is_noticed(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)
    for read in (saved.load, lambda path: saved.info(path, 3)):
        with pytest.raises(PipelineError, match=r"model\.h5 is damaged: its content is not what was written"):
            read(path)


@pytest.mark.parametrize("kept", [0, 0.3, 0.99])
def test_a_file_that_ends_early_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (saved.load, lambda path: saved.info(path, 3)):
        with pytest.raises(PipelineError, match=r"model\.h5 holds no network that can be read"):
            read(path)


def test_a_huge_file_is_refused_unread(path):
    with open(path, "r+b") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(PipelineError, match=r"model\.h5 has 1,073,741,825 bytes; accepted: at most 1,073,741,824"):
        saved.load(path)


def test_a_file_without_a_seal_is_read_as_it_is(path):
    before = saved.load(path).get_weights()
    hostile.unseal(path)
    assert saved.info(path, 3) == FACTS
    assert all(map(np.array_equal, saved.load(path).get_weights(), before))


# What would run code, or read other files


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


def test_code_in_a_layer_runs_where_keras_alone_reads_it_and_not_here(path, marker):
    hostile.bytecode(path, marker)
    with pytest.raises(PipelineError, match=r"model\.h5 names 'Lambda' of 'keras'; accepted: a network of Keras' own"):
        saved.load(path)
    assert not marker.exists()
    keras.models.load_model(path, safe_mode=False)
    assert marker.exists()


@pytest.mark.parametrize("write", [hostile.pickled, hostile.renamed])
def test_another_format_under_this_name_is_refused_unread(path, marker, write):
    write(path, marker)
    with pytest.raises(PipelineError, match=r"model\.h5 holds no network that can be read"):
        saved.load(path)
    assert not marker.exists()


def test_a_name_by_which_keras_reads_another_format_is_refused(path):
    other = path.rename(path.with_suffix(".keras"))
    with pytest.raises(PipelineError, match=r"model\.keras is no \.h5 file"):
        saved.load(other)


@pytest.mark.parametrize("kind", hostile.layers(paths.ROOT))
def test_what_is_no_plain_layer_is_refused_by_name(path, marker, kind):
    hostile.with_layer(path, hostile.layers(marker)[kind])
    with pytest.raises(PipelineError, match=r"model\.h5 names '.*' of '.*'; accepted: a network of Keras' own layers"):
        saved.load(path)
    assert not marker.exists()


@pytest.mark.parametrize("kind", hostile.ELSEWHERE)
def test_weights_that_do_not_stand_in_the_file_are_refused(path, kind):
    hostile.elsewhere(path, kind)
    with pytest.raises(PipelineError, match=r"is a link; accepted|stands in another file|at most 1,073,741,824"):
        saved.load(path)


def test_a_network_of_keras_2_is_read(path):
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
