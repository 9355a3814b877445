"""Processes ended at random moments (in the short form in an epoch): of `make run` with its stages, and of a sweep.

After one more start of the same command everything is bit for bit what an undisturbed start leaves, and so is MLflow's
record: one run for each training, with each point, one model and all files once.
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests import record
from tests.conftest import ROOT, Project, shrunk, with_dvc
from tests.interrupt import Breakpoint
from tests.torture.outcome import Outcome

EPOCHS = 3
REPRO = ("sh", str(ROOT / "scripts/repro.sh"))  # what `make run` runs
SWEEP = (sys.executable, "-m", "pipeline.train", "-m", "model=linear", "seed=1,2")
PARALLEL = (*SWEEP, "hydra/launcher=parallel", "hydra.launcher.n_jobs=2")
BOTH, DVC, STAGE = "DVC and its stage", "DVC alone", "a stage alone"
SWEEPING, WORKER = "a sweep", "a worker of a parallel sweep"
COMMANDS = {BOTH: REPRO, DVC: REPRO, STAGE: REPRO, SWEEPING: SWEEP, WORKER: PARALLEL}
SIGNALS = {
    "SIGKILL": (signal.SIGKILL,),
    "SIGTERM": (signal.SIGTERM,),
    "SIGINT": (signal.SIGINT,),
    "SIGSTOP and then SIGKILL": (signal.SIGSTOP, signal.SIGKILL),
}
CHILDREN = {STAGE: "pipeline.", WORKER: "joblib.externals.loky.backend.popen"}
"""How the module of a child process begins, where a child is ended and not the command."""
TIMED = {"history.csv", "run.json", "speed.json", "report.html", "curves.png", "job.json"}
"""Files with seconds, times or ids in them, which no two starts share."""


class Left(NamedTuple):
    """What a command leaves: the SHA-256 of its files, and the record of its runs in MLflow."""

    files: dict[str, str]
    runs: list[dict[str, Any]]


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Kill 50 times, or a training once in each way; two projects are at work side by side."""
    rng = random.Random(2013)
    # A Ctrl-C reaches DVC and its stage; DVC alone waits for its stage.
    ways = [(way, name) for way in COMMANDS for name in SIGNALS if (way, name) != (DVC, "SIGINT") and way != WORKER]
    ways = [(way, "SIGKILL") for way in (BOTH, DVC, STAGE)] if short else ways * 3 + [(WORKER, "SIGKILL")] * 5
    template = _template(folder / "template")
    with ThreadPoolExecutor(max_workers=2) as pool:
        commands = ((*REPRO, "train"),) if short else (REPRO, SWEEP, PARALLEL)
        wholes = [Project(shutil.copytree(template.folder, folder / f"whole {n}")) for n in range(len(commands))]
        undisturbed = dict(zip(commands, pool.map(_undisturbed, wholes, commands), strict=True))

        def one(place: int, ended: tuple[str, str], share: float) -> Outcome:
            way, name = ended
            command = commands[0] if short else COMMANDS[way]
            seconds, expected = undisturbed[command]
            project, after = folder / f"killed {place}", None if short else share * seconds
            while not _killed(Project(shutil.copytree(template.folder, project)), command, way, SIGNALS[name], after):
                shutil.rmtree(project)
                after /= 2  # it ended before: an undisturbed start took longer
            resumed = "resuming after epoch 1" if short and way != DVC else ""
            lost = _lost(Project(project), command, expected, resumed)
            if lost is None:
                shutil.rmtree(project)
            return Outcome(f"{name} to {way}", lost and f"after {after} s: {lost}")

        yield from pool.map(one, range(len(ways)), ways, [rng.uniform(0.1, 1.0) for _ in ways])


def _template(folder: Path) -> Project:
    folder.mkdir()
    project = with_dvc(shrunk(folder))
    project.edit("params.yaml", "epochs: 1", f"epochs: {EPOCHS}")
    return project


def _undisturbed(project: Project, command: tuple[str, ...]) -> tuple[float, Left]:
    started = time.monotonic()
    project.run(*command)
    return time.monotonic() - started, _left(project)


def _killed(
    project: Project, command: tuple[str, ...], way: str, signals: tuple[int, ...], after: float | None
) -> bool:
    """Start `command`, and end what `way` says after so many seconds, or as soon as it runs; tell if that ended it.

    With `after` None, it is ended in the second epoch.
    """
    second = Breakpoint(project, 2) if after is None else None
    deadline = time.monotonic() + (after or 0)
    with open(project.path("printed"), "w") as printed:
        environment, output = project.environment(), {"stdout": printed, "stderr": printed}
        process = subprocess.Popen(command, cwd=project.folder, env=environment, start_new_session=True, **output)
    stopped = second.wait(process) if second else None
    while process.poll() is None:
        children = [p for p in psutil.Process(process.pid).children(recursive=True) if _runs(p, CHILDREN.get(way))]
        if time.monotonic() >= deadline and (children or way not in CHILDREN):
            break
        time.sleep(0.01)
    else:
        assert process.returncode == 0, project.path("printed").read_text()
        return False
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it has just ended
        for place, number in enumerate(signals):
            time.sleep(place)  # a second after the first signal
            if way in CHILDREN:
                children[-1].send_signal(number)
            elif way == DVC:
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)
        if second and way == DVC:
            second.resume(stopped)  # the stage goes on alone
    return process.wait() != 0


def _lost(project: Project, command: tuple[str, ...], expected: Left, says: str) -> str | None:
    """Start the killed `command` again; return what differs from `expected`, or that it does not print `says`."""
    again = project.run(*command, check=False)
    if again.returncode != 0 or "Traceback" in again.stderr:
        return f"the second start ends with {again.returncode}: {again.stderr[-1500:]}"
    if says not in again.stdout:
        return f"the second start does not say {says!r}: {again.stdout}"
    found = _left(project)
    differing = [name for name in expected.files if found.files.get(name) != expected.files[name]]
    if len(found.runs) != len(expected.runs):
        return f"{len(found.runs)} runs, not {len(expected.runs)}"
    for run, other in zip(found.runs, expected.runs, strict=True):
        differing += [f"{key} {run[key]}, not {other[key]}" for key in other if run[key] != other[key]]
    return "; ".join(differing) or None


def _runs(process: psutil.Process, module: str | None) -> bool:
    try:
        return module is not None and any(part.startswith(module) for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _left(project: Project) -> Left:
    """Return what `project` holds now."""
    roots = [project.path(name) for name in ("data", "models", "results", "multirun") if project.path(name).exists()]
    found = [path for root in roots for path in root.rglob("*") if path.is_file() and path.name not in TIMED]
    digests = {
        _place(project, path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found if _is_result(path)
    }
    return Left(digests, record.of(project))


def _is_result(path: Path) -> bool:
    return path.suffix in (".npy", ".npz", ".h5", ".json", ".png", ".zip") and not path.name.startswith("sweep")


def _place(project: Project, path: Path) -> str:
    """Return the path in the project, without the sweep's folder, whose name is a time."""
    parts = path.relative_to(project.folder).parts
    return "/".join(parts if parts[0] != "multirun" else ("multirun", *parts[2:]))
