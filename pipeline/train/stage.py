"""Stage train: fits the chosen network to the training images, and records the run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.core import files, paths, provenance, runtime
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext

if TYPE_CHECKING:
    import keras

    from pipeline.models.saved import ModelInfo
    from pipeline.train.fit import State


def train(
    cfg: Config, job: RunContext, on_epoch: Callable[[list[dict[str, float]]], None] | None = None
) -> dict[str, Any]:
    """Train as `cfg` says, going on from the checkpoint of an earlier start of the same training.

    Returns what run.json holds. `on_epoch` gets the history after each epoch, and stops the training by raising.
    The checkpoint stays until its caller has recorded that the training is done, unless it was Stopped.
    """
    runtime.configure(job.threads)
    from pipeline import models
    from pipeline.data import arrays
    from pipeline.metrics import calibration, inference
    from pipeline.models.saved import ModelInfo
    from pipeline.tracking.tracker import Stopped, Tracker
    from pipeline.train import checkpoint, distribute, fit

    commit = provenance.git_commit()
    folder = paths.arrays(cfg.data.name)
    arrays.check(folder, cfg.data)
    data = arrays.verified(folder)
    settings = {
        "data": {"name": cfg.data.name, "classes": cfg.data.classes},
        "augment": cfg.augment.model_dump(),
        "model": cfg.model.model_dump(),
        "optimizer": cfg.optimizer.model_dump(),
        "schedule": cfg.schedule.model_dump(),
        "teacher": cfg.teacher.model_dump(),
        "seed": cfg.seed,
        "train": cfg.train.model_dump(),
    }
    key = provenance.fingerprint(settings, data["digest"], str(job.out.root))
    with exclusive(paths.CHECKPOINTS / f"{key}.lock", "this very training"):
        state = checkpoint.Checkpoint(paths.CHECKPOINTS / key)
        tracker = Tracker(cfg.tracking)
        run_id = state.run_id()
        if run_id is None or not tracker.exists(run_id):
            name = job.label or f"{cfg.model.name} on {cfg.data.name}, seed {cfg.seed}"
            run_id = tracker.create(name, settings, _tags(cfg, job, data, commit), job.parent)
            state.begin(run_id)
        with tracker.active(run_id, system_metrics=True):
            train_split, val = (arrays.load(folder, split, cfg.data.classes) for split in ("train", "val"))
            runtime.deterministic(cfg.seed)
            model = models.build(cfg.model, len(cfg.data.classes))
            recipe = fit.TrainingConfig.of(cfg)
            splits = (len(train_split), cfg.train.batch_size), (len(val), distribute.even(len(val), fit.SCORING_BATCH))
            devices = distribute.chosen(distribute.gpus(), *splits)

            def record(history: list[dict[str, float]]) -> None:
                tracker.epochs.follow(run_id, history)
                if on_epoch:
                    try:
                        on_epoch(history)
                    except Stopped:
                        tracker.epochs.log(run_id, history)
                        state.discard()  # nobody goes on with this training
                        raise

            kept = fit.fit(model, train_split, val, recipe, state, record, devices)
            run = {
                "mlflow_run_id": run_id,
                "mlflow_experiment": tracker.experiment,
                "checkpoint": key,
                "data": data,
                "config": settings,
                "seconds": sum(row["seconds"] for row in kept.history),
                "epoch": fit.kept_epoch(kept.history, cfg.train.keep),
                "git_commit": commit,
                "versions": provenance.versions(),
                "hardware": {**provenance.hardware(), "devices": max(1, len(devices))},
            }
            info = ModelInfo(cfg.data.classes, *calibration.trust(inference.predict(model, val), val.labels))
            write(job.out, model, info, kept, run)
            tracker.epochs.log(run_id, kept.history)
            numbers = {"parameters": model.count_params(), "epoch_kept": run["epoch"]}
            numbers |= {"temperature": info.temperature, "threshold": info.threshold}
            tracker.log_metrics(run_id, {**numbers, "devices": run["hardware"]["devices"]}, run["epoch"])
            tracker.log_files(run_id, [job.out.model, job.out.run, job.out.history])
            tracker.log_model(job.out.model)
    return run


def _tags(cfg: Config, job: RunContext, data: dict[str, str], commit: str | None) -> dict[str, str]:
    """Return what runs are filtered and grouped by: how they were started, on what, and by which code and versions.

    The commit alone does not tell: every edited state of a checkout is COMMIT-dirty, and outside git there is none.
    """
    tags = {"source": job.source, "data": data["name"], "data_digest": data["digest"], "model": cfg.model.name}
    tags |= {f"choice.{group}": option for group, option in job.choices.items()}
    tags |= {"sweep": job.sweep} if job.sweep else {}
    tags["code"] = provenance.fingerprint()
    if commit:
        tags["mlflow.source.git.commit"] = commit
    return tags


def write(out: paths.Outputs, model: "keras.Model", info: "ModelInfo", state: "State", run: dict[str, Any]) -> None:
    """Write the three files of the stage, each whole or not at all."""
    from pipeline.models import saved

    saved.save(model, out.model, info)
    files.write_csv(out.history, [{k: v for k, v in row.items() if k != "time"} for row in state.history])
    files.write_json(out.run, run)
