"""Stage train: trains the chosen model, and records the run."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, provenance, runtime
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.metrics.constant import constant_class, still_constant
from pipeline.train import record
from pipeline.train.record import Dataset, RunRecord

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker
    from pipeline.train.fit import Fitted

TRY = "if more epochs do not change that, try a tenth of optimizer.learning_rate"
"""What to do if a training does not leave one class."""


def train(
    cfg: Config, context: RunContext, on_epoch: Callable[[list[dict[str, float]]], None] | None = None
) -> RunRecord:
    """Train as `cfg` says, and return the record; resume from the checkpoint of an interrupted start.

    Writes the model, the history, the predictions and metrics on val, and the record, and logs them to one MLflow run.
    `on_epoch` is called with the history after each epoch, and stops the training by raising Stopped. The caller
    discards the checkpoint of a finished training, after recording that it is finished.
    """
    from pipeline.data import arrays

    arrays.check(paths.arrays(cfg.data.name), cfg.data)
    runtime.configure(context.threads)
    runtime.load_tensorflow()
    from pipeline.metrics.cost import matmul_gflops
    from pipeline.train.source import initial_model

    hardware = provenance.hardware()
    hardware["device"] = f"GPU {name}" if (name := runtime.gpu()) else "CPU"
    hardware["matmul_gflops"] = round(matmul_gflops(), 1)
    print(f"device: {hardware['device'] if name else 'CPU ' + hardware['processor']}")
    with initial_model(cfg, pinned=context.source in ("dvc repro", "dvc exp")) as (resolved, initial):
        try:
            return _train(resolved, context, initial, hardware, on_epoch)
        except KeyboardInterrupt:
            print("the same command resumes this training after its last complete epoch", file=sys.stderr)
            raise


def _train(
    cfg: Config,
    context: RunContext,
    initial: Path | None,
    hardware: dict[str, Any],
    on_epoch: Callable[[list[dict[str, float]]], None] | None,
) -> RunRecord:
    from pipeline.data import arrays
    from pipeline.tracking.tracker import Stopped, Tracker
    from pipeline.train import fit, longer
    from pipeline.train.checkpoint import Checkpoint

    commit, config = provenance.git_commit(), cfg.training
    folder = paths.arrays(cfg.data.name)
    data = Dataset(**arrays.verified(folder))
    key = provenance.fingerprint({cfg.model.name}, config.model_dump(), data.digest, str(context.out.root))
    with exclusive(paths.CHECKPOINTS / f"{key}.lock", "this training"):
        checkpoint = Checkpoint(paths.CHECKPOINTS / key)
        if not context.sweep:
            longer.start(cfg, data.digest, checkpoint)
        tracker = Tracker(cfg.tracking)
        run_id = checkpoint.run_id()
        if run_id is None or not tracker.exists(run_id):
            tags = _tags(cfg, context, data, commit)
            run_id = tracker.create(run_name(cfg, context), config.model_dump(), tags, context.parent, key)
            checkpoint.begin(run_id)

        def after_epoch(history: list[dict[str, float]]) -> None:
            tracker.epochs.follow(run_id, history)
            if still_constant(history, [cfg.data.counts[name][1] for name in cfg.data.classes]):
                print(f"warning: after {len(history)} epochs the model predicts one class for every image; {TRY}")
            if on_epoch:
                try:
                    on_epoch(history)
                except Stopped:
                    tracker.epochs.log(run_id, history)
                    checkpoint.discard()  # a stopped training is not resumed
                    raise

        with tracker.active(run_id):
            fitted = fit.fit(config, folder, checkpoint, after_epoch, paths.ROOT, initial)
            from pipeline.metrics.scores import score

            run = RunRecord(
                mlflow_run_id=run_id,
                mlflow_experiment=tracker.experiment,
                checkpoint=key,
                data=data,
                config=config,
                seconds=sum(row["seconds"] for row in fitted.history),
                epoch=fitted.epoch,
                val_scores=score(fitted.probabilities, fitted.labels, cfg.data.classes),
                git_commit=commit,
                versions=provenance.versions(),
                hardware=hardware,
            )
            if only := constant_class(run.val_scores):
                print(f"warning: the model predicts {only} for every image of val; {TRY}")
            _write(context.out, fitted, run)
            _log(tracker, context.out, fitted, run)
        if not context.sweep:
            longer.keep(cfg, data.digest, checkpoint)
    return run


def run_name(cfg: Config, context: RunContext) -> str:
    """Return the name of the run in MLflow: what distinguishes a job, or else the experiment's main settings."""
    if context.label:
        return context.label
    what = context.choices["experiment"] if context.choices["experiment"] != "none" else cfg.model.name
    rate = f"{cfg.optimizer.name} {cfg.optimizer.learning_rate:g}"
    name = f"{what}, {rate}, epochs {cfg.train.epochs}, seed {cfg.seed}"
    return f"{queued}: {name}" if (queued := os.environ.get("DVC_EXP_NAME")) else name


def _tags(cfg: Config, context: RunContext, data: Dataset, commit: str | None) -> dict[str, str]:
    """Return the tags by which runs are filtered and grouped: source, dataset, options, and a digest of the code.

    The commit does not identify the code: every edited state of a checkout is COMMIT-dirty, and outside git there is
    no commit.
    """
    tags = {"source": context.source, "data": data.name, "data_digest": data.digest, "model": cfg.model.name}
    tags |= {f"choice.{group}": option for group, option in context.choices.items()}
    tags |= {"sweep": context.sweep} if context.sweep else {}
    tags["code"] = provenance.fingerprint({cfg.model.name})
    if commit:
        tags["mlflow.source.git.commit"] = commit
    return tags


def _log(tracker: "Tracker", out: paths.Outputs, fitted: "Fitted", run: RunRecord) -> None:
    """Log the outputs to the training's MLflow run: datasets, model, metrics, files and a description."""
    from pipeline.tracking import datasets, models
    from pipeline.tracking.headline import headline, per_class

    run_id, classes = run.mlflow_run_id, run.config.data.classes
    used = {split: datasets.dataset(run.data.model_dump(), classes, split) for split in ("train", "val")}
    tracker.log_datasets(run_id, used)
    tracker.epochs.log(run_id, fitted.history)
    model_id = models.log(tracker, run_id, out.model, classes, run.epoch)
    tracker.log_metrics(run_id, headline({"val": run.val_scores})["val"], model_id, used["val"])
    info = {"temperature": fitted.info.temperature, "threshold": fitted.info.threshold}
    info |= {"parameters": fitted.model.count_params(), "best_epoch": run.epoch}
    tracker.log_metrics(run_id, {f"model/{key}": value for key, value in info.items()})
    tracker.log_table(run_id, per_class(run.val_scores), "per_class/val.json")
    tracker.log_files(run_id, [out.model, out.run, out.history, out.val])
    tracker.log_files(run_id, [out.figure("curves")], "figures")
    tracker.describe(run_id, "val accuracy {accuracy:.2%}".format(**run.val_scores), "figures/curves.png")


def _write(out: paths.Outputs, fitted: "Fitted", run: RunRecord) -> None:
    """Write the outputs, each of them atomically, and the record last: the stage is finished when it exists."""
    from pipeline.metrics import predictions
    from pipeline.models import saved
    from pipeline.plots.learning import curves

    saved.save(fitted.model, out.model, fitted.info)
    files.write_csv(out.history, [{k: v for k, v in row.items() if k != "time"} for row in fitted.history])
    predictions.save(out.val, predictions.Predictions(fitted.probabilities, fitted.labels))
    curves(out.figure("curves"), fitted.history, run.data.name, run.epoch)
    record.write(out.run, run)
