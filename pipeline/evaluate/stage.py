"""Stage evaluate: scores the trained network, draws what is worth seeing, and completes the run's record."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, runtime
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.arrays import Split


def evaluate(cfg: Config, job: RunContext) -> None:
    """Score, draw and record, as `main` says; raise PipelineError where the training's files are not whole."""
    runtime.configure()
    trained = paths.Outputs()
    run, audit = files.read_json(files.require_file(trained.run)), files.read_json(files.require_file(trained.audit))
    history = files.read_csv(files.require_file(trained.history))

    from pipeline.data import arrays
    from pipeline.evaluate import report
    from pipeline.metrics import examples, gradcam, inference, predictions
    from pipeline.models import saved
    from pipeline.tracking import registry
    from pipeline.tracking.headline import headline
    from pipeline.tracking.tracker import Tracker
    from pipeline.train import checkpoint

    # DVC starts this stage when it has recorded the training, so the training's checkpoint has done its work.
    checkpoint.Checkpoint(paths.CHECKPOINTS / run["checkpoint"]).discard()
    folder, classes = paths.arrays(run["data"]["name"]), run["config"]["data"]["classes"]
    if arrays.verified(folder) != run["data"]:
        raise PipelineError(f"{folder} holds other images than {trained.model} was trained on; run `dvc repro`")
    model = saved.load(files.require_file(trained.model))
    splits = {name: arrays.load(folder, name, classes) for name in ("val", "test")}
    probabilities = {name: inference.predict(model, split) for name, split in splits.items()}
    test = splits["test"], probabilities["test"]
    scores = summed_up(cfg, run, len(history), model, splits, probabilities)
    speed = {
        **inference.speed(model, splits["val"], cfg.evaluate.latency_runs),
        "training_minutes": sum(row["seconds"] for row in history) / 60,
        "training_images_per_second": sum(row["images_per_second"] for row in history) / len(history),
    }
    files.write_json(job.out.metrics, scores)
    files.write_json(job.out.speed, speed)
    predicted = {name: predictions.Predicted(probabilities[name], split.labels) for name, split in splits.items()}
    predictions.save(job.out.predictions, predicted)
    mistakes = examples.confident_mistakes(*test, classes, cfg.evaluate.mistakes)
    explained = gradcam.explained(model, mistakes, classes)
    shown = examples.inspected(*test, classes, cfg.evaluate.inspect, cfg.seed)
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
    from pipeline.metrics import calibration, cost, examples, inference
    from pipeline.metrics.splits import scored
    from pipeline.models import saved

    classes, test = run["config"]["data"]["classes"], splits["test"]
    clean = arrays.clean_test(paths.arrays(run["data"]["name"]), test)
    others = saved.load_pinned(cfg.evaluate.ensemble, classes)
    info = saved.info(paths.Outputs().model, len(classes))
    trusted = {name: calibration.scaled(p, info.temperature) for name, p in probabilities.items()}
    shown = examples.inspected(test, probabilities["test"], classes, cfg.evaluate.inspect, cfg.seed)
    means = {name: inference.means(model, others, split, cfg.evaluate.mirror) for name, split in splits.items()}
    return {
        "data": run["data"],
        "model": {
            "name": run["config"]["model"]["name"],
            "parameters": model.count_params(),
            "macs": cost.macs(model),
            "layers": len(model.layers),
            "epoch": run["epoch"],
            "epochs": epochs,
        },
        **scored(splits, probabilities, clean, classes),
        "calibrated": calibration.calibrated(splits, probabilities, classes),
        "sure": {
            "threshold": info.threshold,
            **{name: calibration.sure(p, splits[name].labels, info.threshold) for name, p in trusted.items()},
        },
        "inspection": {"images": len(shown), "right": sum(f["truth"] == f["prediction"] for f in shown)},
        **{
            way: scored(splits, {name: found[way] for name, found in means.items()}, clean, classes)
            for way in means["val"]
        },
    }


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
    from pipeline.metrics.scores import calibration as reliability
    from pipeline.metrics.scores import confusion as confusion_matrix
    from pipeline.plots.explanations import explanations
    from pipeline.plots.inspection import inspection
    from pipeline.plots.learning import curves
    from pipeline.plots.scores import calibration, confusion, emotions

    data = scores["data"]["name"]
    names = ("curves", "confusion", "emotions", "calibration", "inspection", "mistakes", "explanations")
    figures = {name: out.figure(name) for name in names}
    matrix = confusion_matrix(probabilities.argmax(1), test.labels, len(classes))
    bins = reliability(probabilities, test.labels)
    curves(figures["curves"], history, data, scores["model"]["epoch"])
    confusion(figures["confusion"], matrix, classes, f"{data} test")
    emotions(figures["emotions"], scores["test"]["emotions"], f"{data} test: each emotion")
    calibration(figures["calibration"], bins, f"{data} test: expected calibration error {scores['test']['ece']:.1%}")
    inspection(figures["inspection"], shown, data)
    inspection(figures["mistakes"], mistakes, data, "Most confident mistakes")
    explanations(figures["explanations"], explained, f"{data} test: what spoke for the most confident mistakes")
    return figures
