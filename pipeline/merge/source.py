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
from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def opened(source: str) -> Iterator["MlflowClient"]:
    """Yield a client of the store `source`; raise PipelineError if it is none or this MLflow cannot read it."""
    from mlflow import MlflowClient
    from sqlalchemy import create_engine, make_url

    with TemporaryDirectory() as folder:
        if source.startswith("postgresql"):  # MLflow would migrate an older schema, and try for minutes to connect
            url = make_url(source).update_query_dict({"options": "-c default_transaction_read_only=on"})
            create_engine(url).connect().close()
            source = url.render_as_string(hide_password=False)
        elif not source.startswith(("http://", "https://")):
            source = _copy(_database(source), Path(folder, store.DATABASE))
        yield MlflowClient(source, source)


def _database(source: str) -> Path:
    uri = source.startswith("sqlite:///")
    path = Path(urllib.parse.unquote(source.removeprefix("sqlite:///")) if uri else source)
    for found in (path, path / store.DATABASE, path / "mlruns" / store.DATABASE):
        if found.is_file():
            return found.resolve()
    accepted = f"a checkout or mlruns/ with {store.DATABASE}, sqlite:///FILE, http(s)://, postgresql://"
    raise PipelineError(f"{redact(source)} is no MLflow store; accepted: {accepted}")


def _copy(database: Path, copy: Path) -> str:
    """Copy `database`, migrate the copy to this MLflow's schema, and return its URI."""
    from alembic.util import CommandError
    from mlflow.db import upgrade

    try:
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
            for old in store.places(db) - {database.parent}:  # the store was moved
                store.move(db, old, database.parent)
    except (*failures(), sqlite3.Error, CommandError) as error:  # type: ignore[misc]
        newer = "if a newer MLflow wrote it, install that one here"
        raise PipelineError(f"{database} is no database of MLflow's ({reason(error)}); {newer}") from error
    return store.uri(copy)
