"""The networks in weights/, scored anew: what results/experiments/ says of the seed whose network was kept."""

import hashlib
from collections.abc import Iterator
from typing import Any

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.verify import tolerance
from pipeline.verify.check import Check

WAYS = {"single": "predict", "with mirror": "predict_with_mirror"}


def checks() -> Iterator[Check]:
    """Yield what came of each recipe."""
    from pipeline.readme.__main__ import experiments

    yield from map(_scored, experiments())


def _scored(recorded: dict[str, Any]) -> Check:
    """Hold against the recipe's file what the kept network is, and what it is worth."""
    from pipeline.data import arrays
    from pipeline.metrics import calibration, cost, inference
    from pipeline.metrics.splits import scored
    from pipeline.models import saved

    path, classes = paths.weights(recorded["experiment"]), recorded["config"]["data"]["classes"]
    if not path.is_file():
        raise PipelineError(f"{path} is missing; `git checkout {path.relative_to(paths.ROOT)}` brings it back")
    folder, content = paths.arrays(recorded["data"]["name"]), path.read_bytes()
    splits = {split: arrays.load(folder, split, classes) for split in ("val", "test")}
    clean = arrays.clean_test(folder, splits["test"])
    model, facts = saved.load(path), saved.info(path, len(classes))
    predicted = {
        way: {name: getattr(inference, predict)(model, split) for name, split in splits.items()}
        for way, predict in WAYS.items()
    }
    scores = {way: scored(splits, p, clean, classes) for way, p in predicted.items()}
    trusted = {n: calibration.scaled(p, facts.temperature) for n, p in predicted["single"].items()}
    calibrated = calibration.calibrated(splits, predicted["single"], classes)
    found = {
        "data": arrays.identity(folder),
        "parameters": model.count_params(),
        "macs": cost.macs(model),
        "weights": {
            "seed": recorded["weights"]["seed"],
            "temperature": facts.temperature,
            "threshold": facts.threshold,
            "sure": {n: calibration.sure(p, splits[n].labels, facts.threshold) for n, p in trusted.items()},
            "scores": scores["single"],
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        },
        "calibration": {
            "temperature": calibrated["temperature"],
            "test_ece": scores["single"]["test"]["ece"],
            "test_ece_scaled": calibrated["test"]["ece"],
        },
        "accuracy": {way: {name: split["accuracy"] for name, split in s.items()} for way, s in scores.items()},
    }
    check = Check(f"results/experiments/{recorded['experiment']}.json, weights/{path.name} scored anew")
    of_seed = _of_seed(recorded)
    losses = [[split["loss"] for split in s.values()] for s in (of_seed["weights"]["scores"], scores["single"])]
    alike = losses[0] == losses[1] and not tolerance.changed(recorded)
    check.compare_scores({key: of_seed[key] for key in found}, found, _slack(of_seed), alike)
    return check


def _of_seed(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return what the recipe's file says with the values of the kept seed in place of lists of all seeds."""
    place = recorded["seeds"].index(recorded["weights"]["seed"])
    accuracy = {
        way: {name: split.get("each", [split["mean"]])[place] for name, split in recorded["accuracy"][way].items()}
        for way in WAYS
    }
    calibration = {key: each[place] for key, each in recorded["calibration"].items()}
    return {**recorded, "accuracy": accuracy, "calibration": calibration}


def _slack(of_seed: dict[str, Any]) -> dict[str, Any]:
    weights = of_seed["weights"]
    scores = tolerance.of_scores(weights["scores"])
    sure = {n: tolerance.of_sure(s, weights["scores"][n]["images"]) for n, s in weights["sure"].items()}
    ece = scores["test"]["ece"]
    return {
        "weights": {"scores": scores, "sure": sure},
        "calibration": {"temperature": tolerance.PROBABILITY, "test_ece": ece, "test_ece_scaled": ece},
        "accuracy": {way: {name: split["accuracy"] for name, split in scores.items()} for way in WAYS},
    }
