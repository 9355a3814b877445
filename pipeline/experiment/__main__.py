"""Trains an experiment of conf/experiment/ with several seeds, and then scores all models once on test."""

import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, runtime
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError
from pipeline.metrics import notebook
from pipeline.sweep import summary
from pipeline.sweep.plan import WHERE, check_only

if TYPE_CHECKING:
    import numpy as np

SEEDS = "seed=1,2,3"


@command
@usage("pipeline.experiment NAME [seed=1,2,3]")
def main(arguments: list[str]) -> None:
    """Write results/experiments/NAME.json and weights/NAME.h5: `python -m pipeline.experiment sprint seed=1,2,3`."""
    name, overrides = _read(arguments)
    runtime.configure()
    from pipeline.core.redact import redact
    from pipeline.sweep.sweep import sweep

    folders = sweep([f"experiment={name}", *overrides])
    shown = redact(shlex.join(["python", "-m", "pipeline.experiment", *arguments]))
    result = {"experiment": name, "command": shown, **evaluate_seeds(folders)}
    result["weights"] |= _copy_weights(
        paths.Outputs(folders[result["seeds"].index(result["weights"]["seed"])]).model, name
    )
    files.write_json(paths.experiment(name), result)
    for method, splits in result["accuracy"].items():
        print(f"{method}: " + ", ".join(f"{split} {summary.accuracy(scores)}" for split, scores in splits.items()))
    print(f"{paths.weights(name)}: the model of the seed with the best val accuracy")
    print(f"{paths.experiment(name)}: `python -m pipeline.readme` writes it to README.md, docs/ and weights/")


def _read(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the name of the experiment and the overrides of the sweep; raise PipelineError if they are not valid."""
    names = sorted({path.stem for path in (paths.CONF / "experiment").glob("*.yaml")} - {"none"})
    name, *overrides = arguments or [""]
    if name not in names:
        raise PipelineError(f"unknown experiment '{name}'; choose from {', '.join(names)} (conf/experiment/)")
    check_only(overrides, ("seed", *WHERE))
    return name, overrides if any(o.startswith("seed=") for o in overrides) else [*overrides, SEEDS]


def evaluate_seeds(folders: list[Path]) -> dict[str, Any]:
    """Return the results of an experiment: of the models in `folders`, one per seed, and of their ensemble."""
    from pipeline.data import arrays
    from pipeline.metrics import calibration, cost, inference
    from pipeline.metrics.splits import score_splits
    from pipeline.models import saved
    from pipeline.train import record

    runs = [record.read(paths.Outputs(folder).run) for folder in folders]
    first = runs[0]
    classes = first.config.data.classes
    home = paths.arrays(first.data.name)
    splits = {split: arrays.load(home, split, classes) for split in ("val", "test")}
    clean = arrays.clean_test(home, splits["test"])
    score = lambda probabilities: score_splits(splits, probabilities, clean, classes)  # noqa: E731
    methods = {"single": inference.predict, "flip TTA": inference.predict_with_flip}
    predicted: dict[str, list[dict[str, np.ndarray]]] = {method: [] for method in methods}
    for folder in folders:
        model = saved.load(paths.Outputs(folder).model)
        for method, predict in methods.items():
            predicted[method].append({name: predict(model, split) for name, split in splits.items()})
    scores = {method: [score(p) for p in each] for method, each in predicted.items()}
    accuracy = {method: _by_split(each) for method, each in scores.items()}
    if len(folders) > 1:
        for method, each in predicted.items():
            mean = {name: sum(p[name] for p in each) / len(each) for name in splits}
            accuracy[f"ensemble, {method}"] = _by_split([score(mean)])
    best = max(range(len(folders)), key=lambda i: scores["single"][i]["val"]["accuracy"])
    scaled = [calibration.calibrated(splits, p, classes) for p in predicted["single"]]
    info = saved.info(paths.Outputs(folders[best]).model, len(classes))
    calibrated_best = {n: calibration.scaled(p, info.temperature) for n, p in predicted["single"][best].items()}
    histories = [files.read_csv(paths.Outputs(folder).history) for folder in folders]
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


def _copy_weights(model: Path, name: str) -> dict[str, Any]:
    """Copy the file `model` to weights/, and return its SHA-256 and size in bytes."""
    target = paths.weights(name)
    target.parent.mkdir(exist_ok=True)
    content = model.read_bytes()
    files.replace(target, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


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
