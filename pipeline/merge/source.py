"""Opens the store to copy from, which is only read."""

import shutil
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic.util import CommandError
from mlflow import MlflowClient
from mlflow.db import upgrade
from sqlalchemy import create_engine, make_url

from pipeline.core.errors import PipelineError
from pipeline.core.redact import redact
from pipeline.tracking import store


@contextmanager
def open_source(source: str) -> Iterator[MlflowClient]:
    """Yield a client of the store `source`; raise PipelineError if it is no store, or a newer MLflow's."""
    uri = source
    with TemporaryDirectory() as folder:
        if source.startswith("postgresql"):  # MLflow would create missing tables, and try for minutes to connect
            url = make_url(source).update_query_dict({"options": "-c default_transaction_read_only=on"})
            create_engine(url).connect().close()
            uri = url.render_as_string(hide_password=False)
        elif not source.startswith(("http://", "https://")):
            uri = _copy(_database(source), Path(folder, store.DATABASE))
        yield MlflowClient(uri, uri)


def _database(source: str) -> Path:
    path = Path(urllib.parse.unquote(source[10:]) if source.startswith("sqlite:///") else source).absolute()
    checkout = path.parent if path.name == "mlruns" else path
    for found in (path, checkout / store.DATABASE, checkout / "mlruns" / store.DATABASE):
        if found.is_file():
            return found.resolve()
    accepted = f"a checkout with {store.DATABASE}, its mlruns/, sqlite:///FILE, http(s)://, postgresql://"
    raise PipelineError(f"{redact(source)} is no MLflow store; accepted: {accepted}")


def _copy(database: Path, copy: Path) -> str:
    """Copy `database`, update its schema and the addresses of its artifacts, and return the copy's URI."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as there:
            there.backup(sqlite3.connect(copy))
    except sqlite3.OperationalError:  # its writer was killed: SQLite rolls the transaction back, in the copy only
        for end in ("", "-journal", "-wal"):
            if Path(f"{database}{end}").exists():
                shutil.copyfile(f"{database}{end}", f"{copy}{end}")
    try:
        upgrade.callback(store.uri(copy))
    except CommandError as error:
        raise PipelineError(f"{database} is a newer MLflow's ({error}); install that one here") from error
    mlruns = database.parent / "mlruns" if (database.parent / "mlruns").exists() else database.parent  # older checkouts
    with store.open_database(copy) as db:
        for old in store.folders(db) - {mlruns}:  # the store was moved
            store.move(db, old, mlruns)
    return store.uri(copy)
