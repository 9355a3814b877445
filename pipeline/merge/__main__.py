"""Brings the runs, models and artifacts of another checkout's mlruns/ into this one's: what is not here yet."""

import filecmp
import os
import shutil
import sqlite3
from pathlib import Path

from pipeline.core import config, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.progress import progress
from pipeline.core.schema import Tracking
from pipeline.merge import rows
from pipeline.merge.snapshot import snapshot
from pipeline.tracking import store

ACCEPTED = "accepted: another checkout of this project, or its folder mlruns"


@command
def main(arguments: list[str]) -> None:
    """Merge the store that the one argument names, and say what came of it: `python -m pipeline.merge PATH`."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise PipelineError(f"usage: python -m pipeline.merge PATH; {ACCEPTED}")
    from pipeline.tracking.tracker import Tracker

    other = find(Path(arguments[0]))
    Tracker(Tracking(uri=None, experiment=config.compose([])[0].tracking.experiment))
    done = merge(other, paths.MLRUNS)
    ended = f", {done.ended} of them gone on there and completed" if done.ended else ""
    print(f"{done.new} runs new, {done.known} already here{ended}")
    for name in done.running:
        print(f"still RUNNING there: {name}; the same command completes it when it has ended")
    for note in done.notes:
        print(note)


def find(path: Path) -> Path:
    """Return the folder of the store that `path`, a checkout or its mlruns, holds."""
    if not path.is_dir():
        raise PipelineError(f"{path} is no folder; {ACCEPTED}")
    for folder in (path, path / "mlruns"):
        if (folder / store.DATABASE).is_file():
            return folder.resolve()
    raise PipelineError(f"{path} has no {store.DATABASE}, neither has its mlruns/; {ACCEPTED}")


def merge(other: Path, mlruns: Path) -> rows.Joined:
    """Bring what the store `other`, which is only read, has more into the store `mlruns`, all of it or nothing.

    Files come first, and then the rows in one transaction; after a kill the same call goes on. Raises PipelineError
    where `other` is this store, damaged or a newer MLflow's, and where the disk is full.
    """
    ours, theirs = mlruns / store.DATABASE, other / store.DATABASE
    if theirs.samefile(ours):
        raise PipelineError(f"{other} is this checkout's own store; {ACCEPTED}")
    try:
        with exclusive(mlruns / "merge.lock", "a merge"), snapshot(theirs, mlruns / "merging", ours) as copy:
            _copy_files(_moved(copy, other, mlruns), mlruns, spare=copy.stat().st_size)
            missing = _without_files(copy)
            joined = _join(copy, ours, str(other))
    except (OSError, sqlite3.Error) as error:
        reason = f"{error.filename or 'disk'}: {error.strerror}" if isinstance(error, OSError) else error
        raise PipelineError(f"{other} is not merged ({reason}); the same command goes on with it") from error
    if missing:
        joined.notes.append(f"the files of {missing} run(s) are not there; merge again when they are, for them to come")
    return joined


def _moved(copy: Path, other: Path, mlruns: Path) -> dict[Path, Path]:
    """Make the addresses of artifacts in `copy` those here; return which folder there is the source of each here."""
    sources = {}
    with store.open_database(copy) as db:
        for old in {*store.places(db), other}:
            for folder in store.folders(db, old):
                # The store may have been moved since, or only its database.
                sources[mlruns / folder] = other / folder if (other / folder).exists() else old / folder
            store.move(db, old, mlruns)
    return sources


def _copy_files(sources: dict[Path, Path], mlruns: Path, spare: int) -> None:
    """Copy what the folders of `sources` lack or have an older version of; `spare` bytes more must be free.

    Raises PipelineError, before any work, where the disk has not enough room.
    """
    found = {target / f.relative_to(source): f for target, source in sources.items() for f in source.rglob("*")}
    files = {target: file for target, file in sorted(found.items()) if file.is_file() and _newer(file, target)}
    total, free = sum(file.stat().st_size for file in files.values()), shutil.disk_usage(mlruns).free
    if total + spare > free:
        raise PipelineError(f"{mlruns}: {total + spare:,} bytes are needed, and {free:,} are free; nothing was merged")
    with progress("copying artifacts", total, "B") as advance:
        for target, file in files.items():
            _copy_file(file, target)
            advance(file.stat().st_size)


def _without_files(copy: Path) -> int:
    """Return how many runs of `copy`, whose addresses are those here, are FINISHED and have no folder here."""
    ended = "SELECT artifact_uri FROM runs WHERE status = 'FINISHED'"  # which leaves files, whatever the run was
    with store.open_database(copy) as db:
        folders = [store.local(address) for (address,) in db.execute(ended)]
    return sum(folder is not None and not folder.is_dir() for folder in folders)


def _newer(file: Path, target: Path) -> bool:
    """Tell whether `target` is missing, or older than `file` and another one."""
    if not target.exists():
        return True
    return file.stat().st_mtime_ns > target.stat().st_mtime_ns and not filecmp.cmp(file, target, shallow=False)


def _copy_file(file: Path, target: Path) -> None:
    """Make `target` the same as `file`, its time included, or leave it as it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.copy2(file, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _join(copy: Path, ours: Path, label: str) -> rows.Joined:
    with store.open_database(ours) as db:
        db.execute("ATTACH ? AS theirs", (str(copy),))
        db.execute("PRAGMA theirs.journal_mode = MEMORY")
        db.execute("BEGIN IMMEDIATE")
        joined = rows.join(db, label)
        db.execute("COMMIT")
        return joined


if __name__ == "__main__":
    main()
