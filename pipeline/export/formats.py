"""Writes a model as LiteRT (.tflite, in float32 or int8) and ONNX (.onnx) files, for use without TensorFlow."""

import contextlib
import hashlib
import io
import json
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.models.saved import ModelInfo

INT8 = "litert-int8"
ENDINGS = {"litert": ".tflite", INT8: "-int8.tflite", "onnx": ".onnx"}
"""The formats, and the end of the file's name in each."""


def write(model: keras.Model, name: str, path: Path, images: np.ndarray) -> None:
    """Write `model` to `path` in the format `name`.

    All formats take (n, 48, 48, 1) float32 images in [0, 1] and return (n, k) probabilities, like the model. In int8,
    weights and activations are 8-bit integers, whose ranges are measured on `images` (n, 48, 48, 1).
    Source of the quantization: Jacob et al. 2018, arXiv:1712.05877.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # about NumPy's names, from Keras' own code
        if name == INT8:
            each = ([images[i : i + 1]] for i in range(len(images)))
            quantized = {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": lambda: each}
            model.export(path, format="litert", verbose=False, **quantized)
        else:
            model.export(path, format=name, verbose=False)


def describe(path: Path, source: Path, info: ModelInfo) -> None:
    """Write into the .onnx file `path` what its outputs mean, and the SHA-256 of the .h5 file `source`."""
    import onnx

    model = onnx.load(path)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    onnx.helper.set_model_props(model, {"info": json.dumps(info._asdict()), "sha256": digest})
    onnx.save(model, path)
