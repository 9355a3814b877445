"""Files of networks as an attacker would make them: each would make the file `marker` if what it carries ran."""

import json
import os
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras

from pipeline.models import saved
from pipeline.models.saved import ModelInfo

FACTS = ModelInfo(["happy", "sad", "surprise"], 1.25, 0.61)


class Planted:
    """What makes the file `marker` when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.system, (_command(self.marker),)


def network(path: Path) -> Path:
    """Write a plain network of three emotions."""
    layers = [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax", name="dense")]
    saved.save(keras.Sequential(layers, name="net"), path, FACTS)
    return path


def bytecode(path: Path, marker: Path) -> None:
    """CVE-2024-3660, CVE-2025-9905: a Lambda layer's marshalled code."""
    name = str(marker)
    touch = lambda x: (__import__("pathlib").Path(name).touch(), x)[1]  # noqa: E731
    keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Lambda(touch)]).save(path)
    marker.unlink()  # it ran here: Keras calls a layer when it is put into a network


def pickled(path: Path, marker: Path) -> None:
    """A pickle that is named as a network is."""
    path.write_bytes(pickle.dumps(Planted(marker)))


def renamed(path: Path, marker: Path) -> None:
    """Keras' other format, which has had more ways to run code, under the name of this one."""
    other = path.with_suffix(".keras")
    bytecode(other, marker)
    other.rename(path)


def _function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def _command(marker: Path) -> str:
    return f"touch {shlex.quote(str(marker))}"


def layers(marker: Path) -> dict[str, dict[str, Any]]:
    """Return layers that a network's configuration may name, by what is wrong with each."""
    command = _command(marker)
    lambda_of = lambda function, **arguments: {  # noqa: E731
        "class_name": "Lambda",
        "config": {"name": "x", "function": function, "arguments": arguments},
    }
    dense = {"class_name": "Dense", "config": {"name": "x", "units": 3}}
    return {
        "a function of the system (CVE-2025-1550)": lambda_of(_function("os", "system"), command=command),
        "a function as a layer": _function("os", "system"),
        "a download (CVE-2025-8747)": lambda_of(_function("keras.utils", "get_file"), origin=f"file://{marker}"),
        "safe mode switched off (CVE-2025-9906)": lambda_of(_function("keras.config", "enable_unsafe_deserialization")),
        "a class of another module": {**dense, "module": "subprocess", "class_name": "Popen"},
        "a plain name of another module": {**dense, "module": "subprocess"},
        "a registered name": {**dense, "module": "keras.layers", "registered_name": "mine>Dense"},
        "an activation of the system": {**dense, "config": {"units": 3, "activation": _function("os", "system")}},
        "an activation that looks up others": {
            **dense,
            "config": {"units": 3, "activation": _function("keras.activations", "deserialize")},
        },
        "an initializer of builtins": {
            **dense,
            "config": {"units": 3, "kernel_initializer": {"module": "builtins", "class_name": "exec", "config": {}}},
        },
        "a type that is built": {"class_name": "TypeSpec", "type_spec": "x", "serialized": []},
        "a lambda": {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}},
        "a saved program (TFSMLayer)": {"class_name": "TFSMLayer", "config": {"filepath": str(marker.parent)}},
        "a module of torch, pickled": {"class_name": "TorchModuleWrapper", "config": {"name": "x", "module": "gAM="}},
        "a file that is read (CVE-2025-12058)": {
            "class_name": "StringLookup",
            "config": {"name": "x", "vocabulary": "/etc/passwd"},
        },
    }


def with_layer(path: Path, layer: dict[str, Any]) -> None:
    """Write a network whose last layer is `layer`; the file is not sealed."""
    network(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1] = layer
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)


def elsewhere(path: Path, kind: str) -> None:
    """Write a network one of whose weights is in another file, or is a link of `kind`; it is not sealed."""
    network(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/dense/net/dense"]
        shape = group["bias"].shape
        del group["bias"]
        if kind == "external link":
            group["bias"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "soft link":
            group["bias"] = h5py.SoftLink("/model_weights/dense/net/dense/kernel")
        elif kind == "external storage":
            group.create_dataset("bias", shape, "f4", external=[("/etc/passwd", 0, 12)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "f4")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape)
            group.create_virtual_dataset("bias", layout)
        elif kind == "bomb":
            group.create_dataset("bias", (2**20, 2**20), "f4", chunks=(1024, 1024))


def large(path: Path, kind: str) -> None:
    """Write a model in a small file that makes Keras allocate gigabytes; it is not sealed."""
    network(path)
    if kind == "enlarged":
        images = keras.Input((48, 48, 1))
        inner = [keras.Input((None, None, 1)), keras.layers.UpSampling2D(1000), keras.layers.GlobalMaxPooling2D()]
        keras.Model(images, keras.layers.Dense(3)(keras.Sequential(inner)(images))).save(path)
        return
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["units"] = 400_000
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
        if kind == "gaps":
            group = file["model_weights/dense/net/dense"]
            del group["kernel"], group["bias"]
            group.create_dataset("kernel", (2304, 50_000), "f4", chunks=(2304, 100))
            group.create_dataset("bias", (50_000,), "f4", chunks=(100,))


LARGE = {
    "units": r"Shape mismatch .* Weight expects shape \(2304, 400000\). Received saved weight with shape \(2304, 3\)",
    "enlarged": r"computes 2,304,000,000 numbers in '.*up_sampling2d.*'; accepted: at most 16,777,216",
    "gaps": r"'model_weights/dense/net/dense/.*' is not stored in full; accepted: weights without compression or gaps",
}
"""Kinds of `large`, and what is said of each."""
ELSEWHERE = ("external link", "soft link", "external storage", "virtual", "bomb")
