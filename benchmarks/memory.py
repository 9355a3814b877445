"""The memory that each stage needs, and how it grows with the data."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks import copies

STAGES = ("download", "preprocess", "train", "evaluate")
TIMES = 10


def measure() -> Iterator[dict]:
    """Yield the peak of each stage's memory on 4,900 drawn faces in MiB, and what ten times as many add to it.

    Counted is what the stage's processes have for themselves (RssAnon, of Linux): pages of files that they map are the
    system's to keep or to drop.
    """
    with TemporaryDirectory() as one, TemporaryDirectory() as ten:
        few, many = _peaks(Path(one), 1), _peaks(Path(ten), TIMES)
    for stage in STAGES:
        yield {"what": f"{stage}, 4,900 drawn faces: peak of its own memory", "unit": "MiB", "values": [few[stage]]}
        added = {"unit": "MiB", "values": [many[stage] - few[stage]]}
        yield {"what": f"... added by {TIMES} times as many faces", **added}


def _peaks(folder: Path, times: int) -> dict[str, float]:
    copies.make(folder)
    faces = folder / "conf/data/faces.yaml"
    faces.write_text(re.sub(r"\b([15])00\b", lambda found: str(int(found[0]) * times), faces.read_text()))
    copies.run(folder, "pipeline.record", "experiment=demo", "train.epochs=1")
    return {stage: _peak(folder, stage) for stage in STAGES}


def _peak(folder: Path, stage: str) -> float:
    """Return the most memory in MiB that the stage and its children have had together, looked at 50 times a second."""
    command = [sys.executable, "-m", f"pipeline.{stage}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, env=copies.ENVIRONMENT, **quiet)
    most = 0.0
    while process.poll() is None:
        most = max(most, _own(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return most


def _own(pid: int) -> float:
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            status = Path(f"/proc/{process.pid}/status").read_text()
            total += int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])
    except (psutil.Error, OSError, TypeError):  # a process that ends meanwhile
        pass
    return total / 1024
