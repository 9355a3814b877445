"""Stage evaluate: scores the trained model, draws figures, and completes the run's record."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, runtime
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.train import record

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.arrays import Split
    from pipeline.models.saved import ModelInfo
    from pipeline.train.record import RunRecord


def evaluate(cfg: Config, context: RunContext) -> None:
    """Write metrics, speed, figures and the report of the training in the workspace, and log them to its MLflow run.

    Raises PipelineError if one of the training's files is missing or damaged.
    """
    trained, out = paths.Outputs(), context.out
    run, audit = record.read(trained.run), files.read_json(files.require_file(trained.audit))
    history = files.read_csv(files.require_file(trained.history))
    runtime.load_tensorflow()

    from pipeline.data import arrays
    from pipeline.evaluate import report
    from pipeline.metrics import examples, gradcam, inference, predictions
    from pipeline.models import saved
    from pipeline.train.checkpoint import Checkpoint

    # DVC has recorded the training when it starts this stage: the checkpoint is no longer needed.
    Checkpoint(paths.CHECKPOINTS / run.checkpoint).discard()
    folder, classes = paths.arrays(run.data.name), run.config.data.classes
    if arrays.verified(folder) != run.data.model_dump():
        raise PipelineError(f"{folder} has other images than {trained.model} was trained on; run `dvc repro`")
    model = saved.load(files.require_file(trained.model))
    info = saved.info(trained.model, len(classes))
    splits = {name: arrays.load(folder, name, classes) for name in ("val", "test")}
    probabilities = {
        "val": predictions.load(files.require_file(trained.val)).probabilities,
        "test": inference.predict(model, splits["test"]),
    }
    test = splits["test"], probabilities["test"]
    inspected = examples.random_examples(*test, classes, cfg.evaluate.inspect, cfg.seed)
    scores = metrics(cfg, run, model, info, splits, probabilities)
    scores["model"]["epochs"] = len(history)
    scores["corrupted"] = corrupted(model, splits["test"], cfg.evaluate.corrupted_images, cfg.seed)
    scores["inspection"] = {"images": len(inspected), "correct": sum(e["truth"] == e["prediction"] for e in inspected)}
    speed = {
        **inference.speed(model, splits["val"], cfg.evaluate.latency_runs),
        "training_minutes": run.seconds / 60,
        "training_images_per_second": sum(row["images_per_second"] for row in history) / len(history),
    }
    files.write_json(out.details, scores)
    files.write_json(out.metrics, summary(scores))
    files.write_json(out.speed, speed)
    predictions.save(out.test, predictions.Predictions(probabilities["test"], splits["test"].labels))
    mistakes = examples.confident_mistakes(*test, classes, cfg.evaluate.mistakes)
    explained = gradcam.explain(model, mistakes, classes)
    figures = draw(out, scores, history, *test, classes, inspected, mistakes, explained)
    figures |= {name: trained.figure(name) for name in ("samples", "balance")}
    report.write(out.report, scores, speed, run, history, audit, figures, cfg.tracking.pages)
    _log(cfg, run, scores, out, list(figures.values()))
    for name in ("val", "test", "test_clean", "kaggle_test"):
        print("{0:12} {accuracy:.2%} ({accuracy_low:.2%} to {accuracy_high:.2%})".format(name, **scores[name]))
    print(f"report: {out.report}")


def metrics(
    cfg: Config,
    run: "RunRecord",
    model: "keras.Model",
    info: "ModelInfo",
    splits: "dict[str, Split]",
    probabilities: "dict[str, np.ndarray]",
) -> dict[str, Any]:
    """Return the content of details.json for the training `run`, whose model is `model`.

    `probabilities` are the model's, not calibrated, for the images of `splits`, val and test.
    """
    from pipeline.data import arrays
    from pipeline.metrics import calibration, cost, inference
    from pipeline.metrics.splits import score_splits
    from pipeline.models import saved

    classes = run.config.data.classes
    clean = arrays.clean_test(paths.arrays(run.data.name), splits["test"])
    others = saved.load_pinned(cfg.evaluate.ensemble, classes, paths.ROOT)
    calibrated = {name: calibration.scaled(p, info.temperature) for name, p in probabilities.items()}
    means = {name: inference.means(model, others, split, cfg.evaluate.flip_tta) for name, split in splits.items()}
    return {
        "data": run.data.model_dump(),
        "model": {
            "name": run.config.model.name,
            "parameters": model.count_params(),
            "macs": cost.macs(model),
            "layers": len(model.layers),
            "epoch": run.epoch,
        },
        **score_splits(splits, probabilities, clean, classes),
        "calibrated": calibration.calibrated(splits, probabilities, classes),
        "confident": {
            "threshold": info.threshold,
            **{name: calibration.confident(p, splits[name].labels, info.threshold) for name, p in calibrated.items()},
        },
        **{
            way: score_splits(splits, {name: found[way] for name, found in means.items()}, clean, classes)
            for way in means["val"]
        },
    }


def corrupted(model: "keras.Model", test: "Split", images: int, seed: int) -> dict[str, Any]:
    """Return the accuracies of `model` on some `images` of `test`, drawn with `seed`, under each corruption."""
    import numpy as np

    from pipeline.core.progress import progress
    from pipeline.metrics import corruptions
    from pipeline.models import runtimes

    chosen = np.sort(np.random.default_rng(seed).permutation(len(test))[:images])
    compiled = runtimes.compile_model(model)
    predict = lambda pixels: compiled(runtimes.to_unit(pixels))  # noqa: E731
    with progress("corrupted images", 3 * len(corruptions.CORRUPTIONS), "predictions") as advance:
        found = corruptions.accuracies(predict, test.images(chosen), test.labels[chosen], advance)
    return {"images": len(chosen), "mean_accuracy": corruptions.mean(found), "accuracy": found}


def summary(scores: dict[str, Any]) -> dict[str, Any]:
    """Return the content of metrics.json: the numbers of `scores` that `dvc metrics show` fits on one screen."""
    main = ["accuracy", "loss", "macro_f1", "ece"]
    names = {"val": main, "test": main, "test_clean": ["accuracy"], "kaggle_test": ["accuracy"]}
    names["model"] = ["parameters", "macs", "epoch"]
    names["corrupted"] = ["mean_accuracy"]
    return {section: {name: scores[section][name] for name in found} for section, found in names.items()}


def draw(
    out: paths.Outputs,
    scores: dict[str, Any],
    history: list[dict[str, float]],
    test: "Split",
    probabilities: "np.ndarray",
    classes: list[str],
    inspected: list[dict[str, Any]],
    mistakes: list[dict[str, Any]],
    explained: list[dict[str, Any]],
) -> dict[str, Path]:
    """Draw the figures of the test split and the curves; return their paths by name."""
    from pipeline.metrics.scores import calibration as reliability
    from pipeline.metrics.scores import confusion as confusion_matrix
    from pipeline.plots.corruptions import heat_map
    from pipeline.plots.explanations import explanations
    from pipeline.plots.inspection import inspection
    from pipeline.plots.learning import curves
    from pipeline.plots.scores import calibration, confusion, emotions

    data = scores["data"]["name"]
    names = ("corruptions", "curves", "confusion", "emotions", "calibration", "inspection", "mistakes", "explanations")
    figures = {name: out.figure(name) for name in names}
    matrix = confusion_matrix(probabilities.argmax(1), test.labels, len(classes))
    bins = reliability(probabilities, test.labels)
    curves(figures["curves"], history, data, scores["model"]["epoch"])
    confusion(figures["confusion"], matrix, classes, f"{data} test")
    emotions(figures["emotions"], scores["test"]["emotions"], f"{data} test: each emotion")
    calibration(figures["calibration"], bins, f"{data} test: expected calibration error {scores['test']['ece']:.1%}")
    corrupted_title = f"{data} test, {scores['corrupted']['images']:,} images: accuracy under corruptions"
    heat_map(figures["corruptions"], {scores["model"]["name"]: scores["corrupted"]["accuracy"]}, corrupted_title)
    inspection(figures["inspection"], inspected, data)
    inspection(figures["mistakes"], mistakes, data, "Most confident mistakes")
    explanations(figures["explanations"], explained, f"{data} test: Grad-CAM of the most confident mistakes")
    return figures


def _log(
    cfg: Config,
    run: "RunRecord",
    scores: dict[str, Any],
    out: paths.Outputs,
    figures: list[Path],
) -> None:
    """Add the evaluation to the training's MLflow run, and offer its model to the registry."""
    from pipeline.tracking import datasets, models, registry
    from pipeline.tracking.headline import headline, per_class
    from pipeline.tracking.tracker import Tracker

    tracker, run_id, data = Tracker(cfg.tracking), run.mlflow_run_id, run.data.model_dump()
    classes, known = run.config.data.classes, tracker.exists(run.mlflow_run_id)
    if not known:
        print(f"warning: {tracker.name} has no run {run_id}; the evaluation becomes a run of its own")
        run_id = tracker.create(f"evaluation of {run_id[:8]}", run.config.model_dump(), {"source": "evaluate"})
    with tracker.active(run_id):
        used = {split: datasets.dataset(data, classes, split) for split in ("val", "test")}
        tracker.log_datasets(run_id, used)
        logged = models.of_run(tracker, run_id)
        for split, found in headline(scores).items():
            tracker.log_metrics(run_id, found, logged.model_id if logged else None, used[split])
            tracker.log_table(run_id, per_class(scores[split]), f"per_class/{split}.json")
        tracker.log_files(run_id, figures, "figures")
        accuracies = ", ".join(f"{name} {scores[name]['accuracy']:.2%}" for name in ("val", "test", "kaggle_test"))
        tracker.describe(run_id, f"Accuracy: {accuracies}", "figures/curves.png")
        tracker.log_files(run_id, [out.report, out.metrics, out.details, out.speed, out.test])
    if known:
        registry.offer(tracker, run_id, data, classes, scores["val"])
