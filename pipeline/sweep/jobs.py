"""A job: one training of a sweep or a search. It stores its result, so that it is not trained again."""

import contextlib
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.core.schema import Config, Data
from pipeline.core.stage import RunContext
from pipeline.sweep import launchers
from pipeline.tracking.tracker import Stopped, Tracker
from pipeline.train.stage import train

RESULT = "job.json"


def prepare(data: Data) -> str:
    """Download and preprocess `data` if its arrays are missing, in one process at a time; return its digest.

    Raises PipelineError if the arrays were made with other settings: jobs share the arrays of a dataset's name.
    """
    from pipeline.data import arrays

    folder = paths.arrays(data.name)
    with file_lock(paths.HOME / "outputs" / f"prepare-{data.name}.lock"):
        try:
            arrays.identity(folder)
        except PipelineError:
            from pipeline.download.stage import download
            from pipeline.preprocess.stage import preprocess

            download(data, paths.raw(data.name))
            preprocess(data, paths.Outputs(paths.HOME / "outputs" / "prepared" / data.name))
        arrays.check(folder, data)
        return arrays.identity(folder)["digest"]


def label(swept: list[str]) -> str:
    """Return the name of a run: the overrides that differ, without sections: MLflow's columns are narrow."""
    return ", ".join(re.sub(r"^[^=]*\.", "", override) for override in swept)


def parent_run(tracker: Tracker, file: Path, name: str, tags: dict[str, str], **content: Any) -> str:
    """Return the MLflow run above all jobs: read from `file`, or new and written to `file` with `content`."""
    if file.exists() and tracker.exists(run_id := files.read_json(file)["mlflow_run_id"]):
        return run_id
    run_id = tracker.create(name, {}, tags)
    files.write_sealed(file, {"mlflow_run_id": run_id, **content})
    return run_id


def run_job(
    cfg: Config,
    context: RunContext,
    swept: list[str],
    place: str,
    on_epoch: Callable[[list[dict[str, float]]], None] | None = None,
) -> dict[str, Any]:
    """Train the job if it is not finished, and return its result; an exception is part of the result, not raised.

    `swept` has the overrides that differ between jobs; `place` is printed before them. The status in the result is the
    MLflow run's: FINISHED with the metrics, FAILED with `error`, or KILLED with `stopped` if `on_epoch` raised Stopped.
    """
    title = f"{place} {context.label}"
    # After a kill and a new start, a process of the first start may still run this job.
    with file_lock(context.out.root / "job.lock"):
        result = read_result(context.out.root)
        if result["status"] == "FINISHED":
            print(f"{title}: already finished")
            return result
        print(title)
        started = time.perf_counter()
        result = {"label": context.label, "swept": swept}
        try:
            labelled = contextlib.redirect_stdout(launchers.Labelled(sys.stdout, place))
            with labelled if context.threads else contextlib.nullcontext():
                run = train(cfg, context, on_epoch)
            result |= {"status": "FINISHED", "mlflow_run_id": run.mlflow_run_id, "data": run.data.model_dump()}
            result |= {"epoch": run.epoch, "epochs": cfg.train.epochs, "minutes": run.seconds / 60}
            result |= {"val": run.val_scores}
            print(f"{title}: val accuracy {result['val']['accuracy']:.2%}")
        except Stopped as reason:
            result |= {"status": "KILLED", "stopped": str(reason)}
            print(f"{title}: stopped {reason}")
        except Exception as error:
            if not isinstance(error, PipelineError):
                traceback.print_exc()
            result |= {"status": "FAILED", "error": f"{type(error).__name__}: {error}"}
            print(f"{title}: failed: {error}", file=sys.stderr)
        files.write_sealed(context.out.root / RESULT, {**result, "seconds": time.perf_counter() - started})
        if result["status"] == "FINISHED":
            from pipeline.train.checkpoint import Checkpoint

            Checkpoint(paths.CHECKPOINTS / run.checkpoint).discard()
    return result


def read_result(folder: Path) -> dict[str, Any]:
    """Return the result of the job in `folder`; without a result, the job was killed."""
    try:
        return files.read_json(folder / RESULT)
    except (OSError, PipelineError):
        return {"status": "KILLED", "label": f"job {folder.name}", "error": "its process was killed"}
