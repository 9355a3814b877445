"""Refuses code, and data in other files, in a model's .h5 file before Keras reads it.

Keras' safe mode alone was bypassed more than once (CVE-2024-3660, CVE-2025-1550, -8747, -9905, -9906), and layers and
HDF5 itself can name other files (CVE-2025-12058, CVE-2026-1669). A file may therefore name only layers of Keras' own,
from those folders of Keras that neither run code nor open files, and must contain all its weights itself, so that a
small file cannot make Keras allocate much memory.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import h5py
    import keras

ACCEPTED = "accepted: a model of Keras' own layers, none of which runs code or opens files"
MAX_BYTES = 2**30
"""Bytes of a file, and of all weights together; the largest model here has 2 million."""
MAX_ELEMENTS = 2**24
"""Numbers in the largest tensor that a model computes for one image; the largest one here has 331,776."""

_LAYERS = (
    *("activations", "attention", "convolutional", "core", "merging", "normalization", "pooling"),
    *("regularization", "reshaping", "rnn", "preprocessing.normalization", "preprocessing.rescaling"),
)
_FOLDERS = (
    *("keras.src.models.", "keras.src.initializers.", "keras.src.regularizers.", "keras.src.constraints."),
    *("keras.src.dtype_policies.", *(f"keras.src.layers.{name}." for name in _LAYERS)),
)
_DATA = frozenset(("__keras_tensor__", "__numpy__", "__tensor__", "__tuple__", "TensorShape"))
"""Names that Keras writes as classes, and that are none."""
_RENAMED = frozenset(("Functional", "Policy"))
"""Classes of accepted models that Keras does not expose under these names."""


def check(file: "h5py.File") -> None:
    """Raise PipelineError if the model in `file` is not accepted."""
    _check_numbers(file)
    text = file.attrs.get("model_config")
    if not isinstance(text, str | bytes):
        raise PipelineError("contains no Keras model")
    check_layers(json.loads(text))


def check_layers(config: Any) -> None:
    """Raise PipelineError if a model's configuration, as Keras writes it, names a class that is not accepted."""
    for part in _named(config):
        _check_class(part)


def check_memory(model: "keras.Model") -> None:
    """Raise PipelineError if `model` computes a tensor of more than MAX_ELEMENTS for one image.

    The model is traced, not run: layers without weights, such as UpSampling2D, can be of any size in a small file.
    """
    import tensorflow as tf

    shape = [1, *(size or 1 for size in model.input_shape[1:])]
    traced = tf.function(lambda images: model(images, training=False))
    graph = traced.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    outputs = [(output.shape.num_elements() or 0, op.name) for op in graph.get_operations() for output in op.outputs]
    size, name = max(outputs)
    if size > MAX_ELEMENTS:
        raise PipelineError(f"computes {size:,} numbers in {name!r}; accepted: at most {MAX_ELEMENTS:,}")


def _check_numbers(file: "h5py.File") -> None:
    """Refuse links, weights in other files, and more weights than any model has."""
    import h5py

    if link := file.visititems_links(lambda name, kind: None if isinstance(kind, h5py.HardLink) else name):
        raise PipelineError(f"{link!r} is a link; accepted: weights in the file itself")
    items: list[tuple[str, Any]] = []
    file.visititems(lambda *item: items.append(item))
    weights = [(name, item) for name, item in items if isinstance(item, h5py.Dataset)]
    if outside := [name for name, weight in weights if weight.external or weight.is_virtual]:
        raise PipelineError(f"{outside[0]!r} is in another file; accepted: weights in the file itself")
    if (size := sum(weight.nbytes for _, weight in weights)) > MAX_BYTES:
        raise PipelineError(f"has {size:,} bytes of weights; accepted: at most {MAX_BYTES:,}")
    if short := [name for name, weight in weights if weight.id.get_storage_size() < weight.nbytes]:
        raise PipelineError(f"{short[0]!r} is not stored in full; accepted: weights without compression or gaps")


def _named(config: Any) -> Iterator[dict[str, Any]]:
    """Yield each part of `config` that names a class."""
    parts = [config]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            parts += part.values()
        elif isinstance(part, list):
            parts += part


def _check_class(part: dict[str, Any]) -> None:
    """Refuse a class, or a function, that is not accepted."""
    name, module, registered = (part.get(key) for key in ("class_name", "module", "registered_name"))
    if name == "function":
        own, modules, expected = _is_activation(part.get("config")), ["keras", "builtins"], part.get("config")
    else:
        own, modules, expected = _is_accepted(str(name)), ["keras"], name
    if not own or str(module or "keras").split(".")[0] not in modules or registered not in (None, expected):
        raise PipelineError(f"names {str(registered or name)[:40]!r} of {str(module or 'keras')[:40]!r}; {ACCEPTED}")


def _is_accepted(name: str) -> bool:
    """Tell whether Keras has a class `name` in one of the folders that does not run code."""
    import keras

    if name in _DATA | _RENAMED:
        return True
    places = (keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints)
    found = [getattr(place, name, None) for place in (*places, keras.dtype_policies)]
    classes = [each for each in found if isinstance(each, type) and each is not keras.layers.Lambda]
    return any(f"{each.__module__}.".startswith(_FOLDERS) for each in classes)


def _is_activation(name: Any) -> bool:
    import keras

    return name not in ("deserialize", "get", "serialize") and callable(getattr(keras.activations, str(name), None))
