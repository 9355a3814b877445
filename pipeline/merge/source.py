"""Opens the store to copy from, which is only read."""

import shutil
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError
from pipeline.core.redact import redact
from pipeline.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def opened(source: str) -> Iterator["MlflowClient"]:
    """Yield a client of the store `source`; raise PipelineError if it is none, or a newer MLflow's."""
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from sqlalchemy import create_engine, make_url

    uri = source
    with TemporaryDirectory() as folder:
        try:
            if source.startswith("postgresql"):  # MLflow would migrate it, and try for minutes to connect
                url = make_url(source).update_query_dict({"options": "-c default_transaction_read_only=on"})
                create_engine(url).connect().close()
                uri = url.render_as_string(hide_password=False)
            elif not source.startswith(("http://", "https://")):
                uri = _copy(_database(source), Path(folder, store.DATABASE))
            client = MlflowClient(uri, uri)
        except CommandError as error:
            raise PipelineError(f"{redact(source)} is a newer MLflow's ({error}); install that one here") from error
        yield client


def _database(source: str) -> Path:
    path = Path(urllib.parse.unquote(source[10:]) if source.startswith("sqlite:///") else source)
    for found in (path, path / store.DATABASE, path / "mlruns" / store.DATABASE):
        if found.is_file():
            return found.resolve()
    accepted = f"a checkout or mlruns/ with {store.DATABASE}, sqlite:///FILE, http(s)://, postgresql://"
    raise PipelineError(f"{redact(source)} is no MLflow store; accepted: {accepted}")


def _copy(database: Path, copy: Path) -> str:
    """Copy `database`, migrate the copy to this MLflow's schema, and return its URI."""
    from mlflow.db import upgrade

    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as there,
            closing(sqlite3.connect(copy)) as here,
        ):
            there.backup(here)
    except sqlite3.OperationalError:  # its writer was killed: SQLite undoes the transaction, in the copy only
        for end in ("", "-journal", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{database}{end}", f"{copy}{end}")
    upgrade.callback(store.uri(copy))
    with store.open_database(copy) as db:
        for old in store.folders(db) - {database.parent}:  # the store was moved
            store.move(db, old, database.parent)
    return store.uri(copy)
