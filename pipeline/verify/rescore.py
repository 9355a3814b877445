"""The scores of a model, computed again and compared with those in a file of results/.

Processors round differently. That moves the logarithm of a probability, and so a loss, by a bound measured here, and
an accuracy only by images whose two highest probabilities are closer than that.
"""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.core import files, paths
from pipeline.data import arrays
from pipeline.data.arrays import Split
from pipeline.metrics import calibration, cost, inference
from pipeline.metrics.scores import cross_entropy
from pipeline.metrics.splits import score_splits
from pipeline.models import saved

SAMPLE = 256
"""Images on which the error of float32 is measured."""
MARGIN = 10
"""Allowed difference to another machine, as a multiple of that error: all images, and the error there, are larger."""
FIT = 1e-6
"""How far above its minimum the loss may be at a fitted temperature, whose logarithm the fit finds to 1e-5."""


def differences(path: Path, record: Path) -> list[str]:
    """Score the model `path` on the arrays in data/; return a line for each value of `record` that is not found again.

    Prints the largest difference. Raises PipelineError if the model, the arrays or `record` cannot be read.
    """
    facts, scores, temperature = recorded(files.read_json(record))
    folder, model = paths.arrays(facts["data"]["name"]), saved.load(path)
    classes = saved.info(path, model.output_shape[-1]).classes
    splits = {name: arrays.load(folder, name, classes) for name in ("val", "test")}
    predicted = {name: inference.predict(model, split) for name, split in splits.items()}
    again = score_splits(splits, predicted, arrays.clean_test(folder, splits["test"]), classes)
    found = {"data": arrays.identity(folder), "parameters": model.count_params(), "macs": cost.macs(model)}
    found |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    rounding = rounding_bound(model, splits["val"], predicted["val"])
    ties = sum(near_ties(probabilities, rounding) for probabilities in predicted.values())
    values: dict[str, tuple[float, ...]] = {}  # recorded, found, allowed difference
    for name, split in again.items():
        values[f"{name}.accuracy"] = scores[name]["accuracy"], split["accuracy"], ties / split["images"] + 1e-12
        values[f"{name}.loss"] = scores[name]["loss"], split["loss"], rounding
    labels, fitted = splits["val"].labels, calibration.temperature(predicted["val"], splits["val"].labels)
    losses = [cross_entropy(calibration.scaled(predicted["val"], t), labels) for t in (fitted, temperature)]
    values[f"val.loss at temperature {temperature}"] = *losses, FIT + 2 * rounding * (1 / fitted + 1 / temperature)

    largest = max(abs(old - new) for old, new, _ in values.values())
    within = f"rounding explains {rounding:.1e} of a loss and {ties} images of an accuracy"
    print(f"{path.relative_to(paths.ROOT)}: largest difference {largest:.1e}; {within}")
    wrong = [(key, old, found[key]) for key, old in facts.items() if old != found[key]]
    wrong += [(key, old, new) for key, (old, new, allowed) in values.items() if not abs(old - new) <= allowed]
    return [f"{record.relative_to(paths.ROOT)}: {key} is {old}, found {new} for {path.name}" for key, old, new in wrong]


def rounding_bound(model: keras.Model, split: Split, probabilities: np.ndarray) -> float:
    """Return how far the logarithm of one of `model`'s (n, k) `probabilities` of `split` may be on another machine.

    That is MARGIN times the largest difference from the same model in float64, on every n / SAMPLE-th image.
    """
    exact = keras.models.model_from_json(model.to_json().replace('"float32"', '"float64"'))
    exact.set_weights(model.get_weights())
    every = slice(None, None, -(-len(split) // SAMPLE))
    reference = inference.predict(exact, Split(split.pixels, split.rows[every], split.labels[every]))
    error = np.abs(_log(probabilities[every]) - _log(reference)).max()
    return MARGIN * max(float(error), float(np.finfo(np.float32).eps))


def near_ties(probabilities: np.ndarray, rounding: float) -> int:
    """Return for how many of (n, k) `probabilities` the highest may be another one, if each log moves by `rounding`."""
    highest = np.sort(_log(probabilities), axis=1)
    return int((highest[:, -1] - highest[:, -2] <= 2 * rounding).sum())


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def recorded(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Return what an experiment's or a run's file says of its model: facts, scores of each split, temperature."""
    if kept := content.get("weights"):
        facts = {key: content[key] for key in ("data", "parameters", "macs")} | {"sha256": kept["sha256"]}
        return facts, kept["scores"], kept["temperature"]
    facts = {"data": content["data"], **{key: content["model"][key] for key in ("parameters", "macs")}}
    return facts, content, content["calibrated"]["temperature"]
