"""A trained model's .h5 file: Keras' HDF5 format, and what the model's outputs mean."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from pipeline.core import files
from pipeline.core.constants import CODES, EMOTIONS, IMAGE_SIZE
from pipeline.core.errors import PipelineError
from pipeline.core.section import Portion, PositiveFloat
from pipeline.models import untrusted

if TYPE_CHECKING:
    import h5py
    import keras

_ATTRIBUTE = "facts"
"""The HDF5 attribute that holds the ModelInfo, named as in the first files, which are still read."""


class ModelInfo(NamedTuple):
    """What a model's outputs mean: the class of each, and how to calibrate and reject predictions.

    Probabilities are calibrated by `temperature` (pipeline/metrics/calibration.py), and a prediction is confident
    from the calibrated probability `threshold` on. Both are fitted on val.
    """

    classes: list[str]
    temperature: PositiveFloat
    threshold: Portion


def save(model: "keras.Model", path: Path, info: ModelInfo) -> None:
    """Write `model` and `info` to `path`, whole or not at all."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial.h5")
    try:
        with files.path_in_errors(path):
            model.save(partial, include_optimizer=False)
            with h5py.File(partial, "r+") as file:
                file.attrs[_ATTRIBUTE] = json.dumps(info._asdict())
            content = partial.read_bytes()
        files.replace(path, content)
    except RuntimeError as error:  # HDF5's own, if it cannot write
        raise PipelineError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def load(path: Path, any_size: bool = False) -> "keras.Model":
    """Return the model in the .h5 file `path`, which takes grey 48x48 images, or square ones of `any_size`.

    Raises PipelineError if it is damaged, contains code, takes other images, or needs much memory.
    """
    import keras

    if path.suffix != ".h5":  # Keras chooses the format by the name
        raise PipelineError(f"{path} is not an .h5 file; accepted: .h5")
    with _checked(path):
        # Allocates nothing: Keras compares the weights that the layers declare with those in the file.
        with keras.StatelessScope(initialize_variables=False):
            declared = keras.models.load_model(path, compile=False, safe_mode=True)
            _check_input(declared.input_shape, any_size)
            untrusted.check_memory(declared)
        return keras.models.load_model(path, compile=False, safe_mode=True)


def _check_input(shape: Any, any_size: bool) -> None:
    """Raise PipelineError if a model does not take one square grey image for each row of a batch."""
    square = len(shape) == 4 and shape[1] is not None and shape[1] == shape[2] and shape[3] == 1
    if not square or (shape[1] != IMAGE_SIZE and not any_size):
        given = "x".join(map(str, shape[1:]))
        accepted = "square grey images" if any_size else f"grey {IMAGE_SIZE}x{IMAGE_SIZE} images"
        raise PipelineError(f"takes {given}; accepted: a model of {accepted}")


@contextmanager
def _checked(path: Path) -> "Iterator[h5py.File]":
    """Open the .h5 file `path`, which contains no code."""
    import h5py

    try:
        if (size := path.stat().st_size) > untrusted.MAX_BYTES:
            raise PipelineError(f"{path} has {size:,} bytes; accepted: at most {untrusted.MAX_BYTES:,}")
        with h5py.File(path) as file:
            untrusted.check(file)
            yield file
    except PipelineError as error:
        text = str(error)
        raise PipelineError(text if text.startswith(str(path)) else f"{path} {text}") from error
    except Exception as error:  # HDF5 and Keras raise errors without a common base on malformed files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PipelineError(f"{path} is not a readable Keras model: {reason}") from error


def load_pinned(models: dict[str, str], classes: list[str], root: Path) -> list["keras.Model"]:
    """Return the models in .h5 files below `root`, given by name and SHA-256.

    Raises PipelineError if a file is missing or another one, or its outputs are not `classes` in that order.
    """
    return [_load_pinned(root / name, digest, classes) for name, digest in models.items()]


def _load_pinned(path: Path, digest: str, classes: list[str]) -> "keras.Model":
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != digest:
        raise PipelineError(f"{path} is another file than the configuration names; its SHA-256: {found}, not {digest}")
    model = load(path)
    if (own := info(path, model.output_shape[-1]).classes) != classes:
        given = f"has the outputs {', '.join(own)}, and the dataset the classes {', '.join(classes)}"
        raise PipelineError(f"{path} {given}; accepted: the same, in the same order")
    return model


def info(path: Path, outputs: int, classes: list[str] | None = None) -> ModelInfo:
    """Return what the file `path` states about its model, which has `outputs` outputs.

    The file of another program states nothing: then `classes` are its classes, in the order of its outputs. It is not
    calibrated, and every prediction is confident.
    Raises PipelineError if the classes are not known: their order is never guessed.
    """
    found = stated(path)
    if found is None and classes is None:
        known_orders = f", for example {','.join(EMOTIONS)} (alphabetical) or {','.join(CODES)} (fer2013.csv)"
        raise PipelineError(
            f"{path} does not state which classes its {outputs} outputs are; give them in order with --classes"
            + (known_orders if outputs == len(EMOTIONS) else "")
        )
    known = found or ModelInfo(classes or [], 1.0, 0.0)
    if len(known.classes) != outputs:
        source = "" if found else "with --classes "
        raise PipelineError(f"{path} {source}names {len(known.classes)} classes, and its model has {outputs} outputs")
    return known


def stated(path: Path) -> ModelInfo | None:
    """Return what the file `path` states about its model; None if it states nothing."""
    with _checked(path) as file:
        text = file.attrs.get(_ATTRIBUTE)
    if text is None:
        return None
    try:
        return TypeAdapter(ModelInfo).validate_json(text)
    except ValidationError as error:
        (where, *_), reason = error.errors()[0]["loc"] or ("",), error.errors()[0]["msg"]
        raise PipelineError(f"{path} does not state what its outputs mean: {where} {reason}") from error
