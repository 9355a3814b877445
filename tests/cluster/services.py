"""What stands behind the runs: PostgreSQL, a tracking server with users, and an S3 server."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port, wait_until_healthy
from tests.interrupt import GIVE_UP
from tests.processes import password, private, running

PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian keeps PostgreSQL's programs, in a folder for each version."""


def initdb() -> Path:
    """Return PostgreSQL's program that makes a new database."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1]
    if elsewhere := shutil.which("initdb"):
        return Path(elsewhere)
    sys.exit("error: no PostgreSQL on this machine; on Debian: sudo apt-get install postgresql")


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a new PostgreSQL on this machine; yield the address of its server and the file with its password."""
    program, port, secret = initdb(), free_port(), password()
    home = folder / "postgres"
    home.mkdir()
    given = private(home / "password", secret)
    as_user: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        as_user = ["runuser", "-u", "postgres", "--"]
        for path in (home, given):
            shutil.chown(path, "postgres", "postgres")
    data = str(home / "data")
    make = [*as_user, str(program), "-D", data, "-U", "mlflow", "-A", "scram-sha-256", f"--pwfile={given}"]
    subprocess.run(make, cwd=home, check=True, capture_output=True)
    given.unlink()
    passwords = private(folder / "pgpass", f"127.0.0.1:{port}:*:mlflow:{secret}\n")
    settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB", "max_connections=40")
    serve = [*as_user, str(program.with_name("postgres")), "-D", data, "-p", str(port)]
    serve += [part for setting in settings for part in ("-c", setting)]
    with running(folder / "postgres.log", *serve, stop=signal.SIGINT, cwd=home):
        for database in ("mlflow", "users"):
            _create(database, port, passwords)
        yield f"postgresql://mlflow@127.0.0.1:{port}", passwords


def _create(database: str, port: int, passwords: Path) -> None:
    import psycopg

    deadline = time.monotonic() + GIVE_UP
    while True:
        try:
            to = {"host": "127.0.0.1", "port": port, "user": "mlflow", "dbname": "postgres"}
            connection = psycopg.connect(**to, passfile=str(passwords), autocommit=True)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.3)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database}")
    connection.close()


@contextmanager
def s3(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run an S3 server on this machine; yield the address of a bucket and the environment that leads there."""
    import boto3
    from botocore.exceptions import BotoCoreError

    port = free_port()
    address, secret = f"http://127.0.0.1:{port}", password()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": secret}
    environment = {"MLFLOW_S3_ENDPOINT_URL": address, **{name.upper(): key for name, key in keys.items()}}
    with running(folder / "s3.log", "moto_server", "-H", "127.0.0.1", "-p", str(port)):
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=address, **keys)
        deadline = time.monotonic() + GIVE_UP
        while True:
            try:
                client.create_bucket(Bucket="runs")
                break
            except BotoCoreError:
                assert time.monotonic() < deadline, "the S3 server does not answer"
        yield "s3://runs", environment


@contextmanager
def tracking(folder: Path, home: Path, artifacts: str, more: dict[str, str]) -> Iterator[str]:
    """Run a tracking server with a user whose password stands in `home`, where MLflow looks for it; yield its address.

    Its runs are in PostgreSQL, their files in `artifacts`, which the server alone reads and writes.
    """
    port, secret = free_port(), password()
    address = f"http://127.0.0.1:{port}"
    credentials = f"[mlflow]\nmlflow_tracking_username = admin\nmlflow_tracking_password = {secret}\n"
    private(home / ".mlflow/credentials", credentials)
    with postgres(folder) as (store, passwords):
        users = f"[mlflow]\ndatabase_uri = {store}/users\nadmin_username = admin\ndefault_permission = READ\n"
        users += "auth_cache_ttl_seconds = 60\n"  # checking a password takes as long as many a request
        environment = {
            **os.environ,
            "PGPASSFILE": str(passwords),
            "MLFLOW_AUTH_CONFIG_PATH": str(private(folder / "users.ini", users)),
            "MLFLOW_AUTH_ADMIN_PASSWORD": secret,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": password(),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **more,
        }
        serve = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--port", str(port)]
        serve += ["--workers", "1", "--backend-store-uri", f"{store}/mlflow", "--artifacts-destination", artifacts]
        with running(folder / "mlflow.log", *serve, env=environment) as server:
            wait_until_healthy(address, server)
            yield address
