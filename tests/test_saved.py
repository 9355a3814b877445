"""A network's file: what its answers mean stands in it, and it is Keras' own format all the same."""

import hashlib

import h5py
import keras
import pytest

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.training import saved
from pipeline.training.saved import Facts

FACTS = Facts(["happy", "sad", "surprise"], 1.25, 0.61)


@pytest.fixture
def path(tmp_path):
    net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    saved.save(net, tmp_path / "models" / "model.h5", FACTS)
    return tmp_path / "models" / "model.h5"


def test_the_facts_come_back_and_keras_reads_the_file(path):
    assert saved.facts(path, 3) == FACTS
    assert keras.models.load_model(path, compile=False).output_shape == (None, 3)
    assert [file.name for file in path.parent.iterdir()] == ["model.h5"]


def test_facts_of_another_network_are_refused(path):
    with pytest.raises(PipelineError, match="names 3 emotions, and its network has 7 outputs"):
        saved.facts(path, 7)


def test_facts_that_are_none_are_refused(path):
    with h5py.File(path, "r+") as file:
        file.attrs["facts"] = "{broken"
    with pytest.raises(PipelineError, match=r"model\.h5 does not say"):
        saved.facts(path, 3)


@pytest.fixture
def named(path, monkeypatch) -> dict[str, str]:
    """Return a network of a checkout by its file and SHA-256."""
    monkeypatch.setattr(paths, "ROOT", path.parent.parent)
    return {"models/model.h5": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_networks_are_named_by_file_and_digest(path, named):
    (network,) = saved.named(named, 3)
    assert network.output_shape == (None, 3)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(PipelineError, match=r"model\.h5 is not the network that is named; .*accepted: [0-9a-f]{64}$"):
        saved.named(named, 3)
    path.unlink()
    with pytest.raises(PipelineError, match="its SHA-256: missing"):
        saved.named(named, 3)


def test_a_named_network_of_other_emotions_is_refused(named):
    with pytest.raises(PipelineError, match=r"model\.h5 tells 3 emotions apart, and the data have 4"):
        saved.named(named, 4)
