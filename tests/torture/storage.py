"""Full disks, read-only folders, and files of which bits or ends are lost.

Every stage on a full disk, or with a folder that cannot be written to, ends with one line, and works when that is
over. Damaged files are refused by what reads them, or the same numbers are read from them: never other ones.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking
from pipeline.tracking import store
from pipeline.tracking.epochs import CURVES
from pipeline.tracking.tracker import Tracker
from tests.conftest import Project, shrunk
from tests.torture.outcome import Outcome

if TYPE_CHECKING:
    from mlflow.entities import Run

STAGES = ("download", "preprocess", "train", "evaluate")
WRITTEN = {
    "download": ["data", "outputs"],
    "preprocess": ["data", "results"],
    "train": ["models", "results", "mlruns", "outputs"],
    "evaluate": ["results", "mlruns"],
}
"""Folders that each stage writes into."""


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Run each stage on a full disk and with a read-only folder, and damage a file of each kind again and again."""
    steps = _steps(folder)
    if _may_mount():
        for stage in ("preprocess", "train") if short else STAGES:
            for free in (0,) if short else (0, 8, 64, 512):
                lost = _isolated(steps[stage], folder / "isolated", _FULL, stage, str(free))
                yield Outcome(f"disk full in stage {stage}", lost)
        for stage in ("evaluate",) if short else STAGES:
            for name in WRITTEN[stage]:
                lost = _isolated(steps[stage], folder / "isolated", _READ_ONLY, stage, name)
                yield Outcome(f"read-only folder in stage {stage}", lost)
    else:
        print("storage: nothing can be mounted here (unshare -rm); full disks and read-only folders are left out")
    for kind, path, read in _kinds(steps["finished"], folder):
        yield from _damaged(f"damaged {kind}", path, read, 4 if short else 40)


def _steps(folder: Path) -> dict[str, Project]:
    """Return a project before each of its stages, and a finished one that still has the checkpoint of its training."""
    (folder / "now").mkdir()
    project, steps = shrunk(folder / "now"), {}
    for stage in STAGES:
        steps[stage] = Project(shutil.copytree(project.folder, folder / f"before {stage}"))
        project.stage(stage, DVC_STAGE=stage)
    shutil.copytree(steps["evaluate"].path("outputs/checkpoints"), folder / "checkpoints")
    return {**steps, "finished": project}


def _may_mount() -> bool:
    try:
        tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0


_FULL = """
mount -t tmpfs -o size=64m none "$2" && cp -r "$1/." "$2" && cd "$2" || exit 99
head -c "$(( ($(df --output=avail -k . | tail -1) - $4) * 1024 ))" /dev/zero > filler
python -m pipeline.$3; echo "exit code $?"
rm filler; find . -name '*.part' -o -name '*.partial'
echo second; python -m pipeline.$3; echo "exit code $?"
"""
_READ_ONLY = """
cp -r "$1/." "$2" && cd "$2" && mkdir -p $4 && mount --bind $4 $4 && mount -o remount,ro,bind $4 || exit 99
python -m pipeline.$3; echo "exit code $?"
echo second; umount $4; python -m pipeline.$3; echo "exit code $?"
"""
"""Run a stage in a copy of the project, on a disk or with a folder that is mounted for it, and again without that."""


def _isolated(project: Project, place: Path, script: str, stage: str, more: str) -> str | None:
    """Return what is not as it should be where `script` runs; it is killed with all that it mounted."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command = ["unshare", "-rm", "sh", "-c", "exec 2>&1" + script, "sh", str(project.folder), str(place), stage, more]
    done = project.run(*command, check=False)
    first, found, second = done.stdout.partition("\nsecond\n")
    told = "exit code 0" in first or ("exit code 1" in first and "\nerror: " in "\n" + first)
    whole = ".part" not in first.partition("exit code")[2]
    good = found and told and whole and "exit code 0" in second and "Traceback" not in done.stdout
    return None if good else f"{more}: {done.stdout[-2000:]}"


def _kinds(project: Project, folder: Path) -> Iterator[tuple[str, Path, Callable[[Path], Any]]]:
    """Yield kinds of files, a folder or file of each, and the function of the project that reads it."""
    from pipeline.core.constants import EMOTIONS, SPLITS
    from pipeline.data import archive, arrays
    from pipeline.metrics import predictions

    def data(place: Path) -> Any:
        known = arrays.verified(place)
        splits = [arrays.load(place, split, list(EMOTIONS)) for split in SPLITS]
        clean = arrays.clean_test(place, splits[-1])
        return known, [(split.images().tobytes(), split.labels.tobytes()) for split in splits], clean.tobytes()

    def state(place: Path) -> Any:
        return {name: (array.dtype.str, array.tobytes()) for name, array in files.read_npz(place).items()}

    def predicted(place: Path) -> Any:
        return [array.tobytes() for array in predictions.load(place)]

    def faces(place: Path) -> Any:
        return [(face.split, face.emotion, face.number, face.pixels.tobytes()) for face in archive.read(place)]

    def runs(place: Path) -> Any:
        with tempfile.TemporaryDirectory(dir=folder) as checkout, pytest.MonkeyPatch.context() as patch:
            shutil.copyfile(place, Path(checkout, store.DATABASE))
            patch.setattr(paths, "MLRUNS", Path(checkout, "mlruns"))
            tracker = Tracker(Tracking(uri=None, experiment="synthetic"))
            return [_told(tracker, run) for run in tracker.client.search_runs([tracker.experiment_id])]

    files.write_sealed(folder / "job.json", files.read_json(project.path("results/details.json")))
    yield "arrays", project.path("data/arrays/synthetic"), data
    yield "checkpoint", next(folder.glob("checkpoints/*/state.npz")), state
    yield "predictions", project.path("results/predictions_test.npz"), predicted
    yield "archive", project.path("data/raw/synthetic/archive.zip"), faces
    yield "result of a job", folder / "job.json", files.read_json
    yield "database", project.path("mlflow.db"), runs


def _told(tracker: Tracker, run: "Run") -> Any:
    """Return what MLflow's store says of a run."""
    histories = [tracker.client.get_metric_history(run.info.run_id, key) for key in CURVES]
    epochs = [[(m.key, m.step, m.value, m.timestamp) for m in history] for history in histories]
    return run.info.run_id, run.info.status, run.data.params, run.data.metrics, epochs


def _damaged(kind: str, path: Path, read: Callable[[Path], Any], times: int) -> Iterator[Outcome]:
    """Flip a bit in a copy of `path`, or cut its end off, and read it: it must be refused, or give what was written."""
    rng, expected = random.Random(kind), read(path)
    for _ in range(times):
        copy = path.with_name(f"damaged {path.name}")
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
        file = rng.choice(sorted(copy.iterdir())) if copy.is_dir() else copy
        what = damage(file, rng)
        try:
            lost = None if read(copy) == expected else f"{file.name}, {what}: other content, and no word of it"
        except PipelineError:
            lost = None
        except Exception as error:
            lost = f"{file.name}, {what}: {error!r}"
        (shutil.rmtree if copy.is_dir() else Path.unlink)(copy)
        yield Outcome(kind, lost)


def damage(file: Path, rng: random.Random) -> str:
    """Cut off the end of `file`, one time in five, or flip one of its bits; return which was done, and where."""
    content = bytearray(file.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.2:
        file.write_bytes(content[:place])
        return f"cut at byte {place}"
    content[place] ^= 1 << (bit := rng.randrange(8))
    file.write_bytes(content)
    return f"bit {bit} of byte {place} flipped"
