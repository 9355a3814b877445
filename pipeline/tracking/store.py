"""The store of a checkout: mlflow.db, where plain `mlflow ui` finds it, and the artifacts in mlruns/.

Its artifact addresses are absolute, and are updated after a checkout was moved or copied.
"""

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
"""Table, column and condition of every artifact address in MLflow's database."""


_QUOTED = re.compile(r"%(?=[0-9A-Fa-f]{2})|\?")


def uri(database: Path) -> str:
    """Return MLflow's address of the SQLite file `database`, which may not exist yet.

    MLflow creates the folder of an address as it is written there: beside a folder whose name must be quoted, another
    one. So the address of a file in the working directory is relative then.
    """
    name = str(database)
    if _QUOTED.search(name) and not _QUOTED.search(relative := os.path.relpath(name)):
        return f"sqlite:///{relative}"
    return "sqlite:///" + _QUOTED.sub(lambda found: urllib.parse.quote(found[0]), name)


@contextmanager
def open_database(database: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file in autocommit mode; a transaction without COMMIT is rolled back.

    Raises PipelineError if the file is damaged.
    """
    with closing(sqlite3.connect(database, isolation_level=None, timeout=20)) as connection:
        try:
            yield connection
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if type(error) not in (sqlite3.DatabaseError, UnicodeDecodeError):  # locked or full, but not damaged
                raise
            raise PipelineError(f"{database} is damaged ({error}); accepted: a database of MLflow") from error


def database(mlruns: Path) -> Path:
    """Return the SQLite file of the store whose artifacts are in `mlruns`."""
    return mlruns.parent / DATABASE


def create(mlruns: Path) -> None:
    """Create the database of the store if it is missing, completely or not at all.

    MLflow creates its tables one by one, and cannot continue from a part of them. Earlier versions of this project had
    the database in mlruns/: it is moved.
    """
    if (target := database(mlruns)).exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    mlruns.mkdir(parents=True, exist_ok=True)
    if (old := mlruns / DATABASE).exists():
        with open_database(old) as db:
            db.execute("SELECT count(*) FROM sqlite_master")  # completes what a killed process has left
        os.replace(old, target)
        return
    partial = target.with_name(f"{DATABASE}.partial")
    try:
        for leftover in target.parent.glob(f"{partial.name}*"):  # from a killed process
            leftover.unlink()
        # Not by a client: it puts the folder into SQL as it is, which fails if there is a quote in it.
        SqlAlchemyStore(uri(partial), mlruns.as_uri())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def relocate(mlruns: Path) -> None:
    """Update the artifact addresses of the store if it was moved or copied to this folder."""
    with open_database(database(mlruns)) as db:
        for old in folders(db) - {mlruns}:
            (mlruns / "artifacts").mkdir(exist_ok=True)  # new runs use this folder, even if the old one was not copied
            move(db, old, mlruns)
            print(f"mlruns/ was moved or copied from {old.parent}: its artifact addresses now point to {mlruns}")


def folders(db: sqlite3.Connection) -> set[Path]:
    """Return the folders named mlruns in the artifact addresses of the experiments."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return set()
    paths = [local(address) for (address,) in db.execute("SELECT artifact_location FROM experiments")]
    return {path.parent for path in paths if path and path.parts[-2:] == ("mlruns", "artifacts")}


def move(db: sqlite3.Connection, old: Path, new: Path) -> None:
    """Replace `old` by `new` in all artifact addresses below `old`, in one transaction.

    An address does not change if its files only exist below `old`.
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
    """Return the absolute path of an artifact address; None if it is not a path."""
    if address and address.startswith("file:"):
        address = urllib.request.url2pathname(urllib.parse.urlparse(address).path)
    return Path(os.path.normpath(address)) if address and address.startswith("/") else None


def _present(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return the LOCATIONS that exist in the database: older versions of MLflow have fewer."""
    has = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return [location for location in LOCATIONS if db.execute(has, location[:2]).fetchone()]
