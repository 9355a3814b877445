"""Sweeps: what launchers and the work around a training add to the training itself, on drawn faces."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks import copies
from pipeline.core import paths
from pipeline.core.schema import Tracking
from pipeline.tracking.epochs import CURVES
from pipeline.tracking.tracker import Tracker

JOBS, EPOCHS, WRITERS = 8, 2, 8
LAUNCHERS = {
    "one process": [],
    "two at a time": ["hydra/launcher=parallel", "hydra.launcher.n_jobs=2"],
}
IN_THE_EXTRA = {
    "Ray on this machine": ("hydra_plugins.hydra_ray_launcher", ["hydra/launcher=ray"]),
    "submitit on this machine, all at once": ("submitit", ["hydra/launcher=submitit_local"]),
}
"""What Ray and submitit add on one machine, where `make cluster` has installed them; a cluster adds its network."""


def measure() -> Iterator[dict]:
    """Yield the time of a sweep of eight jobs under each launcher, a job's overhead, and what parallel writers lose."""
    baseline = None
    installed = {name: launcher for name, (module, launcher) in IN_THE_EXTRA.items() if find_spec(module)}
    for name, launcher in (LAUNCHERS | installed).items():
        wall, jobs = _sweep(launcher)
        training = sum(60 * job["minutes"] for job in jobs)
        baseline = baseline or training
        yield {
            "what": f"{JOBS} jobs, {name}: wall time over the training times in one process",
            "unit": "",
            "values": [wall / baseline],
        }
        overhead = [job["seconds"] - 60 * job["minutes"] for job in jobs]
        yield {"what": "... of a job, what is not training", "unit": "s", "values": overhead}
        if name == next(iter(LAUNCHERS)):  # jobs of one process: the first one compiles the step, the others use it
            added = [job["seconds"] - 60 * jobs[0]["minutes"] for job in jobs[1:]]
            yield {"what": "... of a later job, its time less the first's training", "unit": "s", "values": added}
            # Training ends with a prediction of val, which takes seed_cnn 0.3 s and linear no time.
            small = [job["seconds"] - 60 * job["minutes"] for job in _sweep(["model=linear"])[1][1:]]
            yield {"what": "... of a later job of linear, what is not training", "unit": "s", "values": small}
    yield {"what": f"epochs' metrics that {WRITERS} parallel writers lose, of 60 each", "unit": "", "values": _lost()}


def _sweep(more: list[str]) -> tuple[float, list[dict]]:
    """Run the sweep with `more` overrides in a copy with prepared data; return its seconds, and the jobs' records."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copies.make(folder)
        train = ("pipeline.train", "-m", "data=synthetic")
        copies.run(folder, *train, "model=linear", "train.epochs=1")
        started = time.perf_counter()
        jobs = [f"train.epochs={EPOCHS}", f"seed=range(1,{JOBS + 1})", f"hydra.sweep.dir={folder / 'sweep'}"]
        copies.run(folder, *train, *jobs, *more)
        wall = time.perf_counter() - started
        return wall, [json.loads((folder / "sweep" / str(i) / "job.json").read_text()) for i in range(JOBS)]


def _lost() -> list[float]:
    """Return for each of several processes that log 60 epochs at the same time how many values are missing after."""
    code = (
        "import sys, time; from pathlib import Path; from pipeline.core import paths;"
        "from pipeline.tracking.epochs import CURVES; from pipeline.tracking.tracker import Tracker;"
        "from pipeline.core.schema import Tracking;"
        "paths.MLRUNS = Path(sys.argv[1], 'mlruns'); t = Tracker(Tracking(uri=None, experiment='benchmark'));"
        "r = t.create('benchmark', {}, {});"
        "rows = [{**dict.fromkeys(CURVES.values(), 0.5), 'epoch': e, 'time': time.time()} for e in range(1, 61)];"
        "[t.epochs.log(r, rows[:n]) for n in range(1, 61)]; print(r)"
    )
    kept = paths.MLRUNS
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, folder]
        writers = [subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) for _ in range(WRITERS)]
        ids = [writer.communicate()[0].split()[-1] for writer in writers]
        paths.MLRUNS = Path(folder, "mlruns")
        try:
            client = Tracker(Tracking(uri=None, experiment="benchmark")).client
            counts = [[len(client.get_metric_history(i, key)) for key in CURVES] for i in ids]
        finally:
            paths.MLRUNS = kept
    return [float(60 * len(CURVES) - sum(found)) for found in counts]
