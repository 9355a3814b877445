"""Stage evaluate: scores the trained network, draws what is worth seeing, and completes the run's record."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import only_one
from pipeline.core.schema import Config
from pipeline.core.stage import Job, stage
from pipeline.training import runtime

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.arrays import Split


@stage
def main(cfg: Config, job: Job) -> None:
    """Write the metrics, speed, figures and report into results/, and add them to the training's MLflow run."""
    with only_one(job.out.lock("evaluate"), "an evaluation", patient=job.source != "manual"):
        evaluate(cfg, job)


def evaluate(cfg: Config, job: Job) -> None:
    """Score, draw and record, as `main` says; raise PipelineError where the training's files are not whole."""
    runtime.configure()
    trained = paths.Outputs()
    run, audit = files.read_json(files.made(trained.run)), files.read_json(files.made(trained.audit))
    history = files.read_csv(files.made(trained.history))

    from pipeline.data import arrays
    from pipeline.evaluation import gradcam, predictions, report, scoring
    from pipeline.tracking import registry
    from pipeline.tracking.tracker import Tracker
    from pipeline.training import checkpoint, saved

    # DVC starts this stage when it has recorded the training, so the training's checkpoint has done its work.
    checkpoint.Checkpoint(paths.CHECKPOINTS / run["checkpoint"]).discard()
    folder, classes = paths.arrays(run["data"]["name"]), run["config"]["data"]["classes"]
    if arrays.verified(folder) != run["data"]:
        raise PipelineError(f"{folder} holds other images than {trained.model} was trained on; run `dvc repro`")
    model = saved.load(files.made(trained.model))
    splits = {name: arrays.load(folder, name, classes) for name in ("val", "test")}
    probabilities = {name: scoring.predict(model, split) for name, split in splits.items()}
    test = splits["test"], probabilities["test"]
    scores = summed_up(cfg, run, len(history), model, splits, probabilities)
    speed = {
        **scoring.speed(model, splits["val"], cfg.evaluate.latency_runs),
        "training_minutes": sum(row["seconds"] for row in history) / 60,
        "training_images_per_second": sum(row["images_per_second"] for row in history) / len(history),
    }
    files.write_json(job.out.metrics, scores)
    files.write_json(job.out.speed, speed)
    predicted = {name: predictions.Predicted(probabilities[name], split.labels) for name, split in splits.items()}
    predictions.save(job.out.predictions, predicted)
    mistakes = confident_mistakes(*test, classes, cfg.evaluate.mistakes)
    explained = gradcam.explained(model, mistakes, classes)
    shown = inspected(*test, classes, cfg.evaluate.inspect, cfg.seed)
    figures = draw(job.out, scores, history, *test, classes, shown, mistakes, explained)
    figures |= {name: trained.figure(name) for name in ("samples", "balance")}
    report.write(job.out.report, scores, speed, run, history, audit, figures)

    tracker = Tracker(cfg.tracking)
    run_id = run["mlflow_run_id"]
    known = tracker.exists(run_id)
    if not known:
        print(f"warning: {tracker.name} has no run {run_id}; the evaluation becomes a run of its own")
        run_id = tracker.create(f"evaluation of {run_id[:8]}", run["config"], {"source": "evaluate"})
    with tracker.active(run_id):
        tracker.log_metrics(run_id, {**headline(scores), **speed}, step=0)
        tracker.log_files(run_id, list(figures.values()), "figures")
        accuracies = ", ".join(f"{name} {scores[name]['accuracy']:.2%}" for name in ("val", "test", "kaggle_test"))
        tracker.describe(run_id, f"Accuracy: {accuracies}", "figures/curves.png")
        tracker.log_files(run_id, [job.out.report, job.out.metrics, job.out.predictions])
    if known:
        registry.offer(tracker, run_id, run["data"], classes, scores["val"]["accuracy"])
    for name in ("val", "test", "test_clean", "kaggle_test"):
        print("{0:12} {accuracy:.2%} ({accuracy_low:.2%} to {accuracy_high:.2%})".format(name, **scores[name]))
    print(f"report: {job.out.report}")


def summed_up(
    cfg: Config,
    run: dict[str, Any],
    epochs: int,
    model: "keras.Model",
    splits: "dict[str, Split]",
    probabilities: "dict[str, np.ndarray]",
) -> dict[str, Any]:
    """Return what metrics.json holds of the training `run` of so many `epochs`, whose kept network is `model`.

    `probabilities` are what it says of the images of `splits`, val and test.
    """
    from pipeline.data import arrays
    from pipeline.evaluation import calibration, cost, scoring
    from pipeline.training import saved

    classes, test = run["config"]["data"]["classes"], splits["test"]
    clean = arrays.clean_test(paths.arrays(run["data"]["name"]), test)
    others = saved.named(cfg.evaluate.ensemble, classes)
    facts = saved.facts(paths.Outputs().model, len(classes))
    trusted = {name: calibration.scaled(p, facts.temperature) for name, p in probabilities.items()}
    shown = inspected(test, probabilities["test"], classes, cfg.evaluate.inspect, cfg.seed)
    means = {name: scoring.means(model, others, split, cfg.evaluate.mirror) for name, split in splits.items()}
    return {
        "data": run["data"],
        "model": {
            "name": run["config"]["model"]["name"],
            "parameters": model.count_params(),
            "multiply_adds": cost.multiply_adds(model),
            "layers": len(model.layers),
            "epoch": run["epoch"],
            "epochs": epochs,
        },
        **scored(splits, probabilities, clean, classes),
        "calibrated": calibration.calibrated(splits, probabilities, classes),
        "sure": {
            "threshold": facts.threshold,
            **{name: calibration.sure(p, splits[name].labels, facts.threshold) for name, p in trusted.items()},
        },
        "inspection": {"images": len(shown), "right": sum(f["truth"] == f["prediction"] for f in shown)},
        **{
            way: scored(splits, {name: found[way] for name, found in means.items()}, clean, classes)
            for way in means["val"]
        },
    }


def scored(
    splits: "dict[str, Split]", probabilities: "dict[str, np.ndarray]", clean: "np.ndarray", classes: list[str]
) -> dict[str, Any]:
    """Return the metrics on val, test, test_clean (not in train, pixel for pixel) and kaggle_test (val and test)."""
    import numpy as np

    from pipeline.evaluation.metrics import score

    (val, test), (val_p, test_p) = splits.values(), probabilities.values()
    both = np.concatenate([val_p, test_p]), np.concatenate([val.labels, test.labels])
    return {
        "val": score(val_p, val.labels, classes),
        "test": score(test_p, test.labels, classes),
        "test_clean": score(test_p[clean], test.labels[clean], classes),
        "kaggle_test": score(*both, classes),
    }


def headline(scores: dict[str, Any]) -> dict[str, float]:
    """Return the numbers by which runs are compared in MLflow, of the splits in `scores`; metrics.json has all of them.

    Those on val are called kept_val_...: val_... are the curves, whose last value is another epoch's.
    """
    splits = {"kept_val": "val", "test": "test", "test_clean": "test_clean", "kaggle_test": "kaggle_test"}
    splits = {name: split for name, split in splits.items() if split in scores}
    keys = ("accuracy", "loss", "macro_f1", "balanced_accuracy", "ece")
    numbers = {f"{name}_{key}": scores[split][key] for name, split in splits.items() for key in keys}
    for name in splits.keys() & {"kept_val", "test"}:
        numbers |= {f"{name}_f1_{e}": v["f1"] for e, v in scores[splits[name]]["emotions"].items()}
    return numbers | ({"inspection_right": scores["inspection"]["right"]} if "inspection" in scores else {})


def inspected(
    split: "Split", probabilities: "np.ndarray", classes: list[str], n: int, seed: int
) -> list[dict[str, Any]]:
    """Return `n` images drawn by `seed`, to be looked at by hand as the notebook project did with seven."""
    import numpy as np

    chosen = np.random.default_rng(seed).choice(len(split), min(n, len(split)), replace=False)
    return [face(split, probabilities, classes, i) for i in chosen]


def confident_mistakes(split: "Split", probabilities: "np.ndarray", classes: list[str], n: int) -> list[dict[str, Any]]:
    """Return the `n` images on which the network is most sure of a wrong emotion, the surest first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(1) != split.labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:n]
    return [face(split, probabilities, classes, i) for i in surest]


def draw(
    out: paths.Outputs,
    scores: dict[str, Any],
    history: list[dict[str, float]],
    test: "Split",
    probabilities: "np.ndarray",
    classes: list[str],
    shown: list[dict[str, Any]],
    mistakes: list[dict[str, Any]],
    explained: list[dict[str, Any]],
) -> dict[str, Path]:
    """Draw the figures of the test split and the curves; return their paths by name."""
    from pipeline.evaluation import metrics
    from pipeline.plots.explanations import explanations
    from pipeline.plots.inspection import inspection
    from pipeline.plots.learning import curves
    from pipeline.plots.scores import calibration, confusion, emotions

    data = scores["data"]["name"]
    names = ("curves", "confusion", "emotions", "calibration", "inspection", "mistakes", "explanations")
    figures = {name: out.figure(name) for name in names}
    matrix = metrics.confusion(probabilities.argmax(1), test.labels, len(classes))
    bins = metrics.calibration(probabilities, test.labels)
    curves(figures["curves"], history, data, scores["model"]["epoch"])
    confusion(figures["confusion"], matrix, classes, f"{data} test")
    emotions(figures["emotions"], scores["test"]["emotions"], f"{data} test: each emotion")
    calibration(figures["calibration"], bins, f"{data} test: expected calibration error {scores['test']['ece']:.1%}")
    inspection(figures["inspection"], shown, data)
    inspection(figures["mistakes"], mistakes, data, "Most confident mistakes")
    explanations(figures["explanations"], explained, f"{data} test: what spoke for the most confident mistakes")
    return figures


def face(split: "Split", probabilities: "np.ndarray", classes: list[str], i: int) -> dict[str, Any]:
    """Return image `i` with what the network says of it, as plots.inspection takes it."""
    best = int(probabilities[i].argmax())
    return {
        "pixels": split.images(slice(i, i + 1))[0],
        "truth": classes[split.labels[i]],
        "prediction": classes[best],
        "confidence": float(probabilities[i, best]),
        "probabilities": {name: float(p) for name, p in zip(classes, probabilities[i], strict=True)},
    }


if __name__ == "__main__":
    main()
