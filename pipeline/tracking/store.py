"""The store in mlruns/: MLflow keeps absolute addresses of artifacts, and a checkout may be moved or copied."""

import os
import re
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.core.errors import PipelineError

DATABASE = "mlflow.db"
_TRACE_TAGS = "key IN ('mlflow.artifactLocation', 'mlflow.trace.archiveLocation')"
LOCATIONS = (
    ("experiments", "artifact_location", "true"),
    ("runs", "artifact_uri", "true"),
    ("logged_models", "artifact_location", "true"),
    ("model_versions", "source", "true"),
    ("model_versions", "storage_location", "true"),
    ("trace_tags", "value", _TRACE_TAGS),
)
"""Table, column and condition of every address of artifacts that MLflow keeps."""


def uri(database: Path) -> str:
    """Return what MLflow calls the SQLite file `database`, which need not exist."""
    return "sqlite:///" + re.sub(r"%(?=[0-9A-Fa-f]{2})|\?", lambda found: urllib.parse.quote(found[0]), str(database))


@contextmanager
def open_database(database: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file; transactions are begun and committed by hand, and one that is not is undone.

    Raises PipelineError where the file is damaged.
    """
    with closing(sqlite3.connect(database, isolation_level=None, timeout=20)) as connection:
        try:
            yield connection
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if type(error) not in (sqlite3.DatabaseError, UnicodeDecodeError):  # locked, full: not the file's fault
                raise
            raise PipelineError(f"{database} is damaged ({error}); accepted: a database of MLflow's") from error


def make(mlruns: Path) -> None:
    """Make the database of the store `mlruns` where there is none, whole or not at all.

    MLflow makes its tables one after the other, and does not go on with a part of them.
    """
    if (mlruns / DATABASE).exists():
        return
    import mlflow

    mlruns.mkdir(parents=True, exist_ok=True)
    partial = mlruns / f"{DATABASE}.partial"
    try:
        for left in mlruns.glob(f"{partial.name}*"):  # of a process that was killed
            left.unlink()
        mlflow.MlflowClient(uri(partial)).search_experiments(max_results=1)
        os.replace(partial, mlruns / DATABASE)
    finally:
        partial.unlink(missing_ok=True)


def relocate(mlruns: Path) -> None:
    """Where the store `mlruns` was moved or copied here, make its addresses those of the artifacts in it."""
    if not (mlruns / DATABASE).exists():
        return
    with open_database(mlruns / DATABASE) as db:
        for old in places(db) - {mlruns}:
            (mlruns / "artifacts").mkdir(exist_ok=True)  # new runs go here, whatever was left behind
            move(db, old, mlruns)
            print(f"mlruns/ was that of {old.parent}: the addresses of its artifacts are those in {mlruns} now")


def places(db: sqlite3.Connection) -> set[Path]:
    """Return the folders named mlruns in which experiments of this project keep, or kept, their artifacts."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return set()
    paths = [local(address) for (address,) in db.execute("SELECT artifact_location FROM experiments")]
    return {path.parent for path in paths if path and path.parts[-2:] == ("mlruns", "artifacts")}


def move(db: sqlite3.Connection, old: Path, new: Path) -> None:
    """Make every address below `old` the same below `new`, in one transaction.

    An address whose files are at the old place alone stays as it is.
    """

    def moved(address: str) -> str:
        path = local(address)
        if path is None or not path.is_relative_to(old):
            return address
        target = new / path.relative_to(old)
        return address if path.exists() and not target.exists() else target.as_uri()

    db.create_function("moved", 1, moved)
    db.execute("BEGIN IMMEDIATE")
    for table, column, condition in _present(db):
        db.execute(f"UPDATE {table} SET {column} = moved({column}) WHERE {column} IS NOT NULL AND {condition}")
    db.execute("COMMIT")


def local(address: str | None) -> Path | None:
    """Return the absolute path that an address of artifacts stands for, None where it stands for none."""
    if address and address.startswith("file:"):
        address = urllib.request.url2pathname(urllib.parse.urlparse(address).path)
    return Path(os.path.normpath(address)) if address and address.startswith("/") else None


def _present(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return those of LOCATIONS that the store has: an older MLflow's has fewer."""
    has = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return [location for location in LOCATIONS if db.execute(has, location[:2]).fetchone()]
