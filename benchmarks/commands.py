"""Whole commands, and the share of an epoch that MLflow takes."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline import preprocess
from pipeline.core import paths
from pipeline.core.config import compose
from pipeline.core.schema import Tracking
from pipeline.data import audit
from pipeline.sources import archive


def measure() -> Iterator[dict]:
    """Yield seconds of preprocess on the whole archive, of `dvc repro` with nothing to do, and MLflow's share."""
    raw = next(iter(paths.raw("fer2013").glob("archive.*")), None)
    if raw:
        yield {
            "what": "preprocess and audit of FER-2013's 35,887 images",
            "unit": "s",
            "values": [_preprocess(raw) for _ in range(3)],
            "target": "under 20 s",
        }
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--quiet"], cwd=paths.ROOT, stdout=subprocess.DEVNULL
    )
    if status.returncode == 0:
        yield {
            "what": "dvc repro with nothing to do",
            "unit": "s",
            "values": [_seconds(["dvc", "repro"]) for _ in range(5)],
            "target": "under 1.5 s",
        }
    logging = _log_epochs(20)
    yield {"what": "MLflow: logging an epoch", "unit": "ms", "values": [1000 * s for s in logging]}
    if paths.Outputs().history.exists():
        epoch = _epoch_seconds()
        yield {
            "what": f"... as a share of the recorded run's epoch, {epoch:.0f} s",
            "unit": "%",
            "values": [100 * s / epoch for s in logging],
            "target": "under 1 %",
        }


def _preprocess(raw: Path) -> float:
    cfg, _ = compose(["data=fer2013"])
    with tempfile.TemporaryDirectory() as temporary:
        started = time.perf_counter()
        audit.audit(preprocess.write(archive.read(raw), cfg.data, Path(temporary) / "arrays"))
        return time.perf_counter() - started


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    subprocess.run(command, cwd=paths.ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _epoch_seconds() -> float:
    from pipeline.core import files

    history = files.read_csv(paths.Outputs().history)
    return sum(row["seconds"] for row in history) / len(history)


def _log_epochs(n: int) -> list[float]:
    """Return the seconds that logging takes, for each of `n` epochs, on a fresh local store."""
    from pipeline.tracking.tracker import EPOCH_METRICS, Tracker

    kept = paths.MLRUNS
    paths.MLRUNS = Path(tempfile.mkdtemp())
    try:
        tracker = Tracker(Tracking(uri=None, experiment="benchmark"))
        run_id = tracker.create("benchmark", {}, {})
        seconds = []
        for epoch in range(1, n + 1):
            row = {**dict.fromkeys(EPOCH_METRICS, 0.5), "epoch": epoch, "time": time.time()}
            started = time.perf_counter()
            tracker.log_epochs(run_id, [row])
            seconds.append(time.perf_counter() - started)
        return seconds
    finally:
        shutil.rmtree(paths.MLRUNS)
        paths.MLRUNS = kept
