"""The recorded run's files beside each other, and beside what the MLflow store has of the run."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.nested import flatten
from pipeline.tracking import finding
from pipeline.verify.check import Check

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


def history(run: dict[str, Any], rows: list[dict[str, float]], speed: dict[str, float]) -> Check:
    """Hold run.json and the training's part of speed.json against history.csv."""
    from pipeline.train import fit

    check = Check("results/history.csv, beside run.json and speed.json")
    seconds, train = sum(row["seconds"] for row in rows), run["config"]["train"]
    check.compare([float(i) for i in range(1, train["epochs"] + 1)], [row["epoch"] for row in rows])
    check.compare({"epoch": run["epoch"]}, {"epoch": int(fit.kept_epoch(rows, train["keep"]))})
    check.compare({"seconds": run["seconds"]}, {"seconds": seconds})
    rate = sum(row["images_per_second"] for row in rows) / len(rows)
    found = {"training_minutes": seconds / 60, "training_images_per_second": rate}
    check.compare({key: speed[key] for key in found}, found)
    return check


def stored(
    tracker: "Tracker",
    run: dict[str, Any],
    rows: list[dict[str, float]],
    metrics: dict[str, Any],
    speed: dict[str, float],
) -> Iterator[Check]:
    """Yield what came of the run in the store: its parameters, its curves, its single numbers, its files."""
    from pipeline.tracking.epochs import EPOCH_METRICS

    run_id = run["mlflow_run_id"]
    kept = tracker.client.get_run(run_id)
    check = Check("MLflow, parameters and end of the run")
    check.compare(kept.data.params, {key: str(value)[:6000] for key, value in flatten(run["config"]).items()})
    check.compare({"status": kept.info.status}, {"status": "FINISHED"})
    yield check

    check = Check("MLflow, every metric of every epoch, beside history.csv")
    for key in EPOCH_METRICS:
        curve = tracker.client.get_metric_history(run_id, key)
        check.compare({f"{key}, points": len(curve)}, {f"{key}, points": len(rows)})
        found = {f"{key}, epoch {row['epoch']:.0f}": row[key] for row in rows}
        check.compare({f"{key}, epoch {point.step}": point.value for point in curve}, found)
    yield check

    check = Check("MLflow, single metrics, beside metrics.json, run.json and speed.json")
    found = _single(run, metrics, speed)
    check.compare({key: kept.data.metrics.get(key, "missing") for key in found}, found)
    yield check

    check = Check("MLflow, files of the run")
    out = paths.Outputs()
    same = {path.name: _same(tracker, run_id, path) for path in (out.model, out.run, out.history, out.metrics)}
    check.compare(dict.fromkeys(same, "as in the workspace"), same)
    yield check


def _single(run: dict[str, Any], metrics: dict[str, Any], speed: dict[str, float]) -> dict[str, float]:
    """Return what train and evaluate log besides the curves, by name."""
    from pipeline.models import saved
    from pipeline.tracking.headline import headline

    facts = saved.info(paths.Outputs().model, len(run["config"]["data"]["classes"]))
    numbers = {"parameters": metrics["model"]["parameters"], "best_epoch": run["epoch"]}
    numbers |= {"devices": run["hardware"]["devices"]}
    numbers |= {"temperature": facts.temperature, "threshold": facts.threshold}
    return {key: float(value) for key, value in {**numbers, **headline(metrics), **speed}.items()}


def _same(tracker: "Tracker", run_id: str, path: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        kept = finding.fetch(tracker, run_id, path.name, Path(folder)).read_bytes()
    return "as in the workspace" if kept == path.read_bytes() else "another file"
