"""Trains an experiment of conf/experiment/ with several seeds, and then scores all models once on test."""

import hashlib
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, runtime
from pipeline.core.command import command, usage
from pipeline.metrics import notebook
from pipeline.sweep import secrets, summary
from pipeline.sweep.plan import WHERE, check_only, find_file

if TYPE_CHECKING:
    import numpy as np

SEEDS = "seed=1,2,3"


@command
@usage("pipeline.experiment NAME [seed=1,2,3]")
def main(arguments: list[str]) -> None:
    """Write results/experiments/NAME.json and weights/NAME.h5: `python -m pipeline.experiment sprint seed=1,2,3`."""
    name, *overrides = arguments or [""]
    find_file("experiment", name)
    check_only(overrides, ("seed", *WHERE))
    if not any(override.startswith("seed=") for override in overrides):
        overrides.append(SEEDS)
    runtime.configure()
    from pipeline.sweep.sweep import sweep

    outputs = [paths.Outputs(folder) for folder in sweep([f"experiment={name}", *overrides])]
    shown = secrets.shown("pipeline.experiment", arguments)
    result = {"experiment": name, "command": shown, **evaluate_seeds(outputs)}
    weights = outputs[result["seeds"].index(result["weights"]["seed"])].model.read_bytes()
    result["weights"] |= {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    files.replace(paths.weights(name), weights)
    files.write_json(paths.experiment(name), result)
    for method, splits in result["accuracy"].items():
        print(f"{method}: " + ", ".join(f"{split} {summary.accuracy(scores)}" for split, scores in splits.items()))
    print(f"{paths.weights(name)}: the model of the seed with the best val accuracy")
    print(f"{paths.experiment(name)}: `python -m pipeline.readme` writes it to README.md, docs/ and weights/")


def evaluate_seeds(outputs: list[paths.Outputs]) -> dict[str, Any]:
    """Return the results of an experiment: of the models in `outputs`, one per seed, and of their ensemble."""
    runtime.load_tensorflow()
    from pipeline.data import arrays
    from pipeline.metrics import calibration, cost, inference
    from pipeline.metrics.splits import score_splits
    from pipeline.models import saved
    from pipeline.train import record

    runs = [record.read(out.run) for out in outputs]
    first = runs[0]
    classes = first.config.data.classes
    home = paths.arrays(first.data.name)
    splits = {split: arrays.load(home, split, classes) for split in ("val", "test")}
    clean = arrays.clean_test(home, splits["test"])
    score = lambda probabilities: score_splits(splits, probabilities, clean, classes)  # noqa: E731
    methods = {"single": inference.predict, "flip TTA": inference.predict_with_flip}
    predicted: dict[str, list[dict[str, np.ndarray]]] = {method: [] for method in methods}
    for out in outputs:
        model = saved.load(out.model)
        for method, predict in methods.items():
            predicted[method].append({name: predict(model, split) for name, split in splits.items()})
    scores = {method: [score(p) for p in each] for method, each in predicted.items()}
    accuracy = {method: _by_split(each) for method, each in scores.items()}
    if len(outputs) > 1:
        for method, each in predicted.items():
            mean = {name: sum(p[name] for p in each) / len(each) for name in splits}
            accuracy[f"ensemble, {method}"] = _by_split([score(mean)])
    best = max(range(len(outputs)), key=lambda i: scores["single"][i]["val"]["accuracy"])
    scaled = [calibration.calibrated(splits, p, classes) for p in predicted["single"]]
    info = saved.info(outputs[best].model, len(classes))
    calibrated_best = {n: calibration.scaled(p, info.temperature) for n, p in predicted["single"][best].items()}
    histories = [files.read_csv(out.history) for out in outputs]
    return {
        "data": first.data.model_dump(),
        "config": first.config.model_dump(),
        "seeds": [run.config.seed for run in runs],
        "parameters": model.count_params(),
        "macs": cost.macs(model),
        "minutes": [run.seconds / 60 for run in runs],
        "seconds_to_notebook": [seconds_to(notebook.ACCURACY["kaggle_test"], history) for history in histories],
        "accuracy": accuracy,
        "calibration": {
            "temperature": [s["temperature"] for s in scaled],
            "test_ece": [s["test"]["ece"] for s in scores["single"]],
            "test_ece_scaled": [s["test"]["ece"] for s in scaled],
        },
        "weights": {
            "seed": runs[best].config.seed,
            "temperature": info.temperature,
            "threshold": info.threshold,
            "confident": {
                n: calibration.confident(p, splits[n].labels, info.threshold) for n, p in calibrated_best.items()
            },
            "scores": scores["single"][best],
        },
        **first.model_dump(include={"git_commit", "versions", "hardware"}),
    }


def seconds_to(accuracy: float, history: list[dict[str, float]]) -> float | None:
    """Return the seconds until val accuracy reached `accuracy`, with compilation and validation; None if it did not."""
    seconds = 0.0
    for row in history:
        seconds += row["seconds"]
        if row["val_accuracy"] >= accuracy:
            return seconds
    return None


def _by_split(scores: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the accuracy on each split over `scores`, one per seed."""
    return {split: summary.over_seeds([score[split] for score in scores]) for split in scores[0]}


if __name__ == "__main__":
    main()
