"""A network's .h5 file: Keras' HDF5 format, and beside the weights what the network's answers mean."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import EMOTIONS

if TYPE_CHECKING:
    import keras

_KEY = "facts"


class Facts(NamedTuple):
    """What a network's answers mean: the emotion of each output, and how far they are to be trusted.

    Probabilities are calibrated by `temperature` (pipeline/evaluation/calibration.py), and an answer counts as sure
    from the calibrated probability `threshold` on. Both were fitted on val.
    """

    classes: list[str]
    temperature: float
    threshold: float


def save(model: "keras.Model", path: Path, facts: Facts) -> None:
    """Write `model` and `facts` to `path`, whole or not at all."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial.h5")
    model.save(partial, include_optimizer=False)
    with h5py.File(partial, "r+") as file:
        file.attrs[_KEY] = json.dumps(facts._asdict())
    os.replace(partial, path)


def load(path: Path) -> "keras.Model":
    """Return the network in the .h5 file `path`; code that a file carries is refused."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:200]
        raise PipelineError(f"{path} holds no network that can be read: {reason}") from error


def named(networks: dict[str, str], classes: int) -> list["keras.Model"]:
    """Return the networks in .h5 files of this checkout, each of which is named with its SHA-256.

    Raises PipelineError where a file is missing or another one, or tells another number of emotions apart.
    """
    return [_named(paths.ROOT / name, digest, classes) for name, digest in networks.items()]


def _named(path: Path, digest: str, classes: int) -> "keras.Model":
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != digest:
        raise PipelineError(f"{path} is not the network that is named; its SHA-256: {found}; accepted: {digest}")
    network = load(path)
    if network.output_shape[-1] != classes:
        raise PipelineError(f"{path} tells {network.output_shape[-1]} emotions apart, and the data have {classes}")
    return network


def facts(path: Path, outputs: int) -> Facts:
    """Return what the file `path` says of its network, which has so many `outputs`.

    A file of another program says nothing: of seven outputs it is taken that they are the seven emotions in
    alphabetical order, as the data set's folders are, not calibrated, and each answer counts as sure.
    Raises PipelineError where another number of outputs is not explained.
    """
    import h5py

    with h5py.File(path) as file:
        text = file.attrs.get(_KEY)
    if text is not None:
        try:
            found = Facts(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise PipelineError(f"{path} does not say what its network's answers mean: {error}") from error
        if len(found.classes) == outputs:
            return found
        raise PipelineError(f"{path} names {len(found.classes)} emotions, and its network has {outputs} outputs")
    if outputs == len(EMOTIONS):
        return Facts(list(EMOTIONS), 1.0, 0.0)
    raise PipelineError(f"{path} does not say which emotions its {outputs} outputs are; `pipeline.train` writes that")
