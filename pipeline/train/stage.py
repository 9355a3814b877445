"""Stage train: trains the chosen model, and records the run."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.core import files, paths, provenance, runtime
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.train import record
from pipeline.train.record import Dataset, RunRecord

if TYPE_CHECKING:
    from pipeline.train.fit import Fitted


def train(
    cfg: Config, context: RunContext, on_epoch: Callable[[list[dict[str, float]]], None] | None = None
) -> RunRecord:
    """Train as `cfg` says, and return the record; resume from the checkpoint of an interrupted start.

    Writes the model, the history, the predictions and metrics on val, and the record, and logs them to one MLflow run.
    `on_epoch` is called with the history after each epoch, and stops the training by raising Stopped. The caller
    discards the checkpoint of a finished training, after recording that it is finished.
    """
    runtime.configure(context.threads)
    from pipeline.data import arrays
    from pipeline.tracking.headline import headline
    from pipeline.tracking.tracker import Stopped, Tracker
    from pipeline.train import fit
    from pipeline.train.checkpoint import Checkpoint

    commit, config = provenance.git_commit(), cfg.training
    folder = paths.arrays(cfg.data.name)
    arrays.check(folder, cfg.data)
    data = Dataset(**arrays.verified(folder))
    key = provenance.fingerprint({cfg.model.name}, config.model_dump(), data.digest, str(context.out.root))
    with exclusive(paths.CHECKPOINTS / f"{key}.lock", "this training"):
        checkpoint = Checkpoint(paths.CHECKPOINTS / key)
        tracker = Tracker(cfg.tracking)
        run_id = checkpoint.run_id()
        if run_id is None or not tracker.exists(run_id):
            name = context.label or f"{cfg.model.name} on {cfg.data.name}, seed {cfg.seed}"
            run_id = tracker.create(name, config.model_dump(), _tags(cfg, context, data, commit), context.parent)
            checkpoint.begin(run_id)

        def after_epoch(history: list[dict[str, float]]) -> None:
            tracker.epochs.follow(run_id, history)
            if on_epoch:
                try:
                    on_epoch(history)
                except Stopped:
                    tracker.epochs.log(run_id, history)
                    checkpoint.discard()  # a stopped training is not resumed
                    raise

        with tracker.active(run_id, system_metrics=True):
            fitted = fit.fit(config, folder, checkpoint, after_epoch, paths.ROOT)
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
                hardware=provenance.hardware(),
            )
            _write(context.out, fitted, run)
            tracker.epochs.log(run_id, fitted.history)
            model = {"parameters": fitted.model.count_params(), "best_epoch": run.epoch}
            model |= {"temperature": fitted.info.temperature, "threshold": fitted.info.threshold}
            tracker.log_metrics(run_id, {**model, **headline({"val": run.val_scores})}, step=0)
            tracker.log_files(run_id, [context.out.model, context.out.run, context.out.history, context.out.val])
            tracker.log_files(run_id, [context.out.figure("curves")], "figures")
            tracker.describe(run_id, "val accuracy {accuracy:.2%}".format(**run.val_scores), "figures/curves.png")
            tracker.log_model(context.out.model)
    return run


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
