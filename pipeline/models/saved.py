"""A network's .h5 file: Keras' HDF5 format, and beside the weights what the network's answers mean."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter, ValidationError

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import EMOTIONS, Portion, PositiveFloat
from pipeline.models import untrusted

if TYPE_CHECKING:
    import h5py
    import keras

_KEY = "facts"
_SEAL = b"\nSHA-256 of the bytes before: "
"""With the digest, the end of a file. Behind what HDF5 reads, it is no part of the network: programs pass over it."""
_END = len(_SEAL) + 64


class ModelInfo(NamedTuple):
    """What a network's answers mean: the emotion of each output, and how far they are to be trusted.

    Probabilities are calibrated by `temperature` (pipeline/metrics/calibration.py), and an answer counts as sure
    from the calibrated probability `threshold` on. Both were fitted on val.
    """

    classes: list[str]
    temperature: PositiveFloat
    threshold: Portion


def save(model: "keras.Model", path: Path, info: ModelInfo) -> None:
    """Write `model` and `info` to `path`, whole or not at all, and sealed: a bit that changes later is noticed."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial.h5")
    try:
        with files.path_in_errors(path):
            model.save(partial, include_optimizer=False)
            with h5py.File(partial, "r+") as file:
                file.attrs[_KEY] = json.dumps(info._asdict())
            content = partial.read_bytes()
        files.replace(path, content + _seal(content))
    except RuntimeError as error:  # HDF5's own, where it cannot write
        raise PipelineError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def load(path: Path) -> "keras.Model":
    """Return the network in the .h5 file `path`; raise PipelineError where it is damaged, or no plain network."""
    import keras

    if path.suffix != ".h5":  # Keras chooses by the name what it reads
        raise PipelineError(f"{path} is no .h5 file, which is what is accepted")
    with _opened(path):
        return keras.models.load_model(path, compile=False, safe_mode=True)


@contextmanager
def _opened(path: Path) -> "Iterator[h5py.File]":
    """Open the .h5 file `path`, whose seal holds where it has one, and whose network is plain."""
    import h5py

    try:
        if (size := path.stat().st_size) > untrusted.MAX_BYTES:
            raise PipelineError(f"{path} has {size:,} bytes; accepted: at most {untrusted.MAX_BYTES:,}")
        content = path.read_bytes()
        whole, end = content[:-_END], content[-_END:]
        if end.startswith(_SEAL) and end != _seal(whole):
            raise PipelineError(f"{path} is damaged: its content is not what was written; take it from where it came")
        with h5py.File(path) as file:
            untrusted.check(file)
            yield file
    except PipelineError as error:
        text = str(error)
        raise PipelineError(text if text.startswith(str(path)) else f"{path} {text}") from error
    except Exception as error:  # what HDF5 and Keras raise on a file that makes no sense has no common base
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PipelineError(f"{path} holds no network that can be read: {reason}") from error


def _seal(content: bytes) -> bytes:
    return _SEAL + hashlib.sha256(content).hexdigest().encode()


def load_pinned(networks: dict[str, str], classes: list[str]) -> list["keras.Model"]:
    """Return the networks in .h5 files of this checkout, each of which is named with its SHA-256.

    Raises PipelineError where a file is missing or another one, or its outputs are not the emotions `classes`, in
    that order.
    """
    return [_load_pinned(paths.ROOT / name, digest, classes) for name, digest in networks.items()]


def _load_pinned(path: Path, digest: str, classes: list[str]) -> "keras.Model":
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != digest:
        raise PipelineError(f"{path} is not the network that is named; its SHA-256: {found}; accepted: {digest}")
    network = load(path)
    if (own := info(path, network.output_shape[-1]).classes) != classes:
        given = f"has the outputs {', '.join(own)}, and the data the emotions {', '.join(classes)}"
        raise PipelineError(f"{path} {given}; accepted: the same, in the same order")
    return network


def info(path: Path, outputs: int) -> ModelInfo:
    """Return what the file `path` says of its network, which has so many `outputs`.

    A file of another program says nothing: of seven outputs it is taken that they are the seven emotions in
    alphabetical order, as the data set's folders are, not calibrated, and each answer counts as sure.
    Raises PipelineError where another number of outputs is not explained.
    """
    with _opened(path) as file:
        text = file.attrs.get(_KEY)
    if text is not None:
        try:
            found = TypeAdapter(ModelInfo).validate_json(text)
        except ValidationError as error:
            (where, *_), reason = error.errors()[0]["loc"] or ("",), error.errors()[0]["msg"]
            raise PipelineError(f"{path} does not say what its network's answers mean: {where} {reason}") from error
        if len(found.classes) == outputs:
            return found
        raise PipelineError(f"{path} names {len(found.classes)} emotions, and its network has {outputs} outputs")
    if outputs == len(EMOTIONS):
        return ModelInfo(list(EMOTIONS), 1.0, 0.0)
    raise PipelineError(f"{path} does not say which emotions its {outputs} outputs are; `pipeline.train` writes that")
