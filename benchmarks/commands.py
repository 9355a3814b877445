"""Whole commands, what they import before they work, and the share of an epoch that MLflow takes."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import copies
from pipeline.core import paths
from pipeline.core.config import compose
from pipeline.core.schema import Tracking
from pipeline.data import archive
from pipeline.preprocess import audit, stage


def measure() -> Iterator[dict]:
    """Yield seconds of preprocess, of `dvc repro` from the archive and with nothing to do, of starts, and of MLflow."""
    raw = next(iter(paths.raw("fer2013").glob("archive.*")), None)
    if raw:
        yield {
            "what": "preprocess and audit of FER-2013's 35,887 images",
            "unit": "s",
            "values": [_preprocess(raw) for _ in range(3)],
            "target": "under 20 s",
        }
        runs = [_whole(raw) for _ in range(2)]
        yield {
            "what": "dvc repro of the recipe sprint, from the archive to the report",
            "unit": "s",
            "values": [run["seconds"] for run in runs],
        }
        rest = [run["seconds"] - run["training"] for run in runs]
        yield {"what": "... of which not the training's steps", "unit": "s", "values": rest}
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
    for module in ("download", "preprocess", "train", "evaluate", "compare", "export"):
        yield {
            "what": f"import pipeline.{module}" + (", which loads TensorFlow" if _loads(module, "tensorflow") else ""),
            "unit": "s",
            "values": [_seconds(["python", "-c", f"import pipeline.{module}"]) for _ in range(5)],
        }
    yield {
        "what": "pipeline.train's answer to a mistake",
        "unit": "s",
        "values": [_seconds(["python", "-m", "pipeline.train", "train.epochs=0"], code=1) for _ in range(5)],
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
        audit.audit(stage.write(archive.read(raw), cfg.data, Path(temporary) / "arrays"))
        return time.perf_counter() - started


def _whole(raw: Path) -> dict[str, float]:
    """Return the seconds of `dvc repro` in a copy of the project that has nothing yet, and those of its training."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copies.make(folder)
        copies.run(folder, "dvc", "init", "--quiet", "--no-scm")
        copies.run(folder, "pipeline.use", "experiment=sprint")
        started = time.perf_counter()
        copies.run(folder, "dvc", "repro", FER2013_ARCHIVE=str(raw))
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "training": json.loads((folder / "results/run.json").read_text())["seconds"]}


def _loads(module: str, other: str) -> bool:
    code = f"import sys, pipeline.{module}; sys.exit({other!r} not in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT).returncode == 0


def _seconds(command: list[str], code: int = 0) -> float:
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert subprocess.run(command, cwd=paths.ROOT, **quiet).returncode == code, command
    return time.perf_counter() - started


def _epoch_seconds() -> float:
    from pipeline.core import files

    history = files.read_csv(paths.Outputs().history)
    return sum(row["seconds"] for row in history) / len(history)


def _log_epochs(n: int) -> list[float]:
    """Return the seconds that logging takes, for each of `n` epochs, on a fresh local store."""
    from pipeline.tracking.epochs import CURVES
    from pipeline.tracking.tracker import Tracker

    kept = paths.MLRUNS
    paths.MLRUNS = Path(tempfile.mkdtemp()) / "mlruns"
    try:
        tracker = Tracker(Tracking(uri=None, experiment="benchmark"))
        run_id = tracker.create("benchmark", {}, {})
        seconds, rows = [], []
        for epoch in range(1, n + 1):
            rows.append({**dict.fromkeys(CURVES.values(), 0.5), "epoch": epoch, "time": time.time()})
            started = time.perf_counter()
            tracker.epochs.log(run_id, rows)
            seconds.append(time.perf_counter() - started)
        return seconds
    finally:
        shutil.rmtree(paths.MLRUNS.parent)
        paths.MLRUNS = kept
