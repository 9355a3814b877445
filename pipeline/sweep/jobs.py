"""One training of many, in a sweep or a search: trained, scored on val, and its result kept so that it runs once."""

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
from pipeline.train.record import RunRecord
from pipeline.train.stage import train

RESULT = "job.json"


def prepare(data: Data) -> str:
    """Download and preprocess `data` unless its arrays are there, once however many ask; return its digest.

    Raises PipelineError where the arrays are those of other settings: jobs share them by the data set's name.
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
    """Return what a run is called: what it differs in, without groups, for MLflow's columns are narrow."""
    return ", ".join(re.sub(r"^[^=]*\.", "", override) for override in swept)


def parent_run(tracker: Tracker, file: Path, name: str, tags: dict[str, str], **kept: Any) -> str:
    """Return the MLflow run above all jobs: that which `file` names, or a new one, kept in `file` beside `kept`."""
    if file.exists() and tracker.exists(run_id := files.read_json(file)["mlflow_run_id"]):
        return run_id
    run_id = tracker.create(name, {}, tags)
    files.write_sealed(file, {"mlflow_run_id": run_id, **kept})
    return run_id


def run_job(
    cfg: Config,
    job: RunContext,
    swept: list[str],
    place: str,
    on_epoch: Callable[[list[dict[str, float]]], None] | None = None,
) -> dict[str, Any]:
    """Train and score the job, unless that is done, and return its result: nothing that it raises goes further.

    `swept` are the overrides by which it differs from the others, `place` is printed before them. The result's
    status is that of the MLflow run: FINISHED with the scores, FAILED with `error`, or, where `on_epoch` raised
    Stopped, KILLED with `stopped`.
    """
    title = f"{place} {job.label}"
    # Where the whole was killed and started again, a process of the first start may still be at work here.
    with file_lock(job.out.root / "job.lock"):
        result = read_result(job.out.root)
        if result["status"] == "FINISHED":
            print(f"{title}: finished already")
            return result
        print(title)
        started = time.perf_counter()
        result = {"label": job.label, "swept": swept}
        try:
            with launchers.labelled(place) if job.threads else contextlib.nullcontext():
                run = train(cfg, job, on_epoch)
            result |= {"status": "FINISHED", **_result(cfg, run)}
            print(f"{title}: val accuracy {result['val']['accuracy']:.2%}")
        except Stopped as reason:
            result |= {"status": "KILLED", "stopped": str(reason)}
            print(f"{title}: stopped {reason}")
        except Exception as error:
            if not isinstance(error, PipelineError):
                traceback.print_exc()
            result |= {"status": "FAILED", "error": f"{type(error).__name__}: {error}"}
            print(f"{title}: failed: {error}", file=sys.stderr)
        files.write_sealed(job.out.root / RESULT, {**result, "seconds": time.perf_counter() - started})
        if result["status"] == "FINISHED":
            from pipeline.train.checkpoint import Checkpoint

            Checkpoint(paths.CHECKPOINTS / run.checkpoint).discard()
    return result


def read_result(folder: Path) -> dict[str, Any]:
    """Return what the job in `folder` left; one that left nothing did not end."""
    try:
        return files.read_json(folder / RESULT)
    except (OSError, PipelineError):
        return {"status": "KILLED", "label": f"job {folder.name}", "error": "its process ended before it did"}


def _result(cfg: Config, run: RunRecord) -> dict[str, Any]:
    """Return what the sweep's table needs."""
    return {
        "mlflow_run_id": run.mlflow_run_id,
        "data": run.data.model_dump(),
        "epoch": run.epoch,
        "epochs": cfg.train.epochs,
        "minutes": run.seconds / 60,
        "val": run.val,
    }
