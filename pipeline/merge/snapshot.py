"""A sound copy of another store's database, in the schema of ours."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.tracking import store


@contextmanager
def snapshot(database: Path, folder: Path, ours: Path) -> Iterator[Path]:
    """Yield a copy of `database` as it stands now, in the schema of `ours`; it lies in `folder`, which is deleted.

    Raises PipelineError where `database` is damaged, no store of MLflow's, or one that a newer MLflow wrote.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    folder.mkdir(parents=True)
    try:
        copy = folder / store.DATABASE
        _copy(database, copy)
        with store.open_database(copy, called=database) as db:
            if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
        if _schema(copy, database) != (wanted := _schema(ours, ours)):
            _upgrade(copy, database, wanted)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(database: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as there,
            closing(sqlite3.connect(copy)) as here,
        ):
            there.backup(here)
    except sqlite3.OperationalError:
        # Its writer was killed: SQLite undoes what that one had begun, in the copy and not there.
        for end in ("", "-journal", "-wal"):
            if (file := database.with_name(database.name + end)).exists():
                shutil.copyfile(file, copy.with_name(copy.name + end))
    except sqlite3.DatabaseError as error:
        raise PipelineError(f"{database} is damaged ({error}); accepted: a database of MLflow's") from error


def _schema(database: Path, called: Path) -> str:
    """Return the name of the schema's revision."""
    with store.open_database(database) as db:
        try:
            return db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        except (sqlite3.OperationalError, TypeError):
            raise PipelineError(f"{called} is no database of MLflow's") from None


def _upgrade(copy: Path, called: Path, wanted: str) -> None:
    """Bring the database `copy` to the schema `wanted`, that of the installed MLflow."""
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", store.uri(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or _schema(copy, called) != wanted:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PipelineError(
            f"{called} has a schema that the MLflow installed here cannot upgrade ({reason})\n"
            "where a newer MLflow wrote it, install that one here first"
        )
