"""The memory that each stage needs, and how it grows with the data."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import psutil

from benchmarks import copies
from pipeline.core import paths
from pipeline.download import synthetic

STAGES = ("download", "preprocess", "train", "evaluate")
TIMES, PICTURES = 10, 100
DRAWN = {"500": 3750, "100": 750}
"""For the numbers of conf/data/synthetic.yaml those by which there are as many faces as FER-2013 has, and some more."""
FACES = 36_750


def measure() -> Iterator[dict]:
    """Yield the peak memory of each stage and of pipeline.predict, in MiB, and what ten times as many images add.

    Counted is what the stage's processes have for themselves (RssAnon, of Linux): pages of files that they map are the
    system's to keep or to drop.
    """
    with TemporaryDirectory() as one, TemporaryDirectory() as ten:
        few, many = _peaks(Path(one), 1), _peaks(Path(ten), TIMES)
    for stage in STAGES:
        yield from _rows(f"{stage}, {FACES:,} drawn faces", few[stage], many[stage])
    with TemporaryDirectory() as folder:
        few_pictures, many_pictures = (_of_predict(Path(folder), PICTURES * times) for times in (1, TIMES))
    yield from _rows(f"predict, {PICTURES} pictures of 640x480", few_pictures, many_pictures)


def _rows(what: str, few: float, many: float) -> Iterator[dict]:
    yield {"what": f"{what}: peak of its own memory", "unit": "MiB", "values": [few]}
    yield {"what": f"... added by {TIMES} times as many", "unit": "MiB", "values": [many - few]}


def _peaks(folder: Path, times: int) -> dict[str, float]:
    copies.make(folder)
    faces = folder / "conf/data/synthetic.yaml"
    faces.write_text(re.sub(r"\b[15]00\b", lambda found: str(DRAWN[found[0]] * times), faces.read_text()))
    copies.run(folder, "pipeline.use", "experiment=demo", "model=patch_cnn", "train.epochs=1")
    return {stage: _peak(folder, f"pipeline.{stage}") for stage in STAGES}


def _of_predict(folder: Path, pictures: int) -> float:
    """Return what pipeline.predict needs for so many pictures with two faces each."""
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    (folder / "pictures").mkdir()
    drawn = synthetic.render(np.zeros(2, int), np.random.default_rng(0))
    picture = np.full((480, 640), 150, np.uint8)
    picture[120:360, 40:280], picture[120:360, 340:580] = (cv2.resize(face, (240, 240)) for face in drawn)
    for i in range(pictures):
        cv2.imwrite(str(folder / f"pictures/{i}.jpg"), picture)
    return _peak(paths.ROOT, "pipeline.predict", str(folder / "pictures"), "--out", str(folder / "out"))


def _peak(folder: Path, module: str, *arguments: str) -> float:
    """Return the most memory in MiB that a command and its children have had together, looked at 50 times a second."""
    command = [sys.executable, "-m", module, *arguments]
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
