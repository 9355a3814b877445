"""Runs a model's file in the runtime of its format: Keras (.h5), LiteRT (.tflite) or ONNX Runtime (.onnx)."""

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.models.saved import ModelInfo

if TYPE_CHECKING:
    import keras
    import onnxruntime

BATCH = 256
"""Images that are predicted together: the memory for them grows with their number."""
Predict = Callable[[np.ndarray], np.ndarray]
"""From (n, 48, 48, 1) float32 images in [0, 1] to (n, k) probabilities."""


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """Return (n, 48, 48) uint8 pixels as the input of a model: (n, 48, 48, 1) float32 in [0, 1].

    The same numbers as pipeline.data.batches.to_unit gives in training, without TensorFlow.
    """
    return pixels[..., None].astype(np.float32) / np.float32(255)


def load_exported(path: Path) -> tuple[Predict, ModelInfo] | None:
    """Return the model of the .h5 file `path` and its info from the .onnx file beside it, which `export` writes.

    It starts in a tenth of TensorFlow's time. None if there is no such file, it was exported from another .h5, or ONNX
    Runtime is not installed.
    """
    exported = path.with_suffix(".onnx")
    if not exported.is_file() or not path.is_file() or not find_spec("onnxruntime"):
        return None
    session = _onnx_session(exported, 0)
    stated = session.get_modelmeta().custom_metadata_map
    if stated.get("sha256") != hashlib.sha256(path.read_bytes()).hexdigest():
        return None
    return _onnx_predict(session), ModelInfo(**json.loads(stated["info"]))


def load(path: Path, threads: int = 1) -> Predict:
    """Return the model in `path` as a function that uses `threads` threads; an .h5 uses all cores.

    Raises PipelineError if the file is not a model of its format, or the format's package is not installed.
    """
    formats = {".h5": _load_keras, ".tflite": _load_litert, ".onnx": _load_onnx}
    if path.suffix not in formats:
        raise PipelineError(f"{path} has an unknown format; accepted: {', '.join(formats)}")
    if not path.is_file():
        raise PipelineError(f"{path} is missing; `python -m pipeline.export` writes .tflite and .onnx files")
    try:
        return formats[path.suffix](path, threads)
    except ImportError as error:
        raise PipelineError(f"{path} needs the package {error.name}; `make export` installs it") from error


def _load_keras(path: Path, threads: int) -> Predict:
    from pipeline.models import saved

    return compile_model(saved.load(path))


def compile_model(model: "keras.Model") -> Predict:
    """Return `model` as a function that TensorFlow compiles once, for batches of any size."""
    import tensorflow as tf

    call = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    return _in_batches(lambda images: call(tf.constant(images)).numpy())


def _load_litert(path: Path, threads: int) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise PipelineError(f"{path} is not a readable LiteRT model: {str(error).splitlines()[0]}") from error
    shape = None

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal shape
        if images.shape != shape:
            interpreter.resize_tensor_input(source["index"], images.shape)
            interpreter.allocate_tensors()
            shape = images.shape
        interpreter.set_tensor(source["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return predict


def _load_onnx(path: Path, threads: int) -> Predict:
    return _onnx_predict(_onnx_session(path, threads))


def _onnx_session(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidProtobuf) as error:
        raise PipelineError(f"{path} is not a readable ONNX model: {str(error).splitlines()[0]}") from error


def _onnx_predict(session: "onnxruntime.InferenceSession") -> Predict:
    name = session.get_inputs()[0].name
    return _in_batches(lambda images: session.run(None, {name: images})[0])


def _in_batches(predict: Predict) -> Predict:
    """Return `predict` with at most BATCH images at a time."""
    return lambda images: np.concatenate([predict(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])
