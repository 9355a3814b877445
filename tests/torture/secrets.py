"""Secrets: planted wherever a user may have them, and looked for in all that the commands print and write."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipeline.core.constants import EMOTIONS
from pipeline.download import synthetic
from tests.conftest import Project, free_port, shrunk, tracking_server, with_dvc
from tests.torture import planted
from tests.torture.outcome import Outcome

VARIABLES = {
    "a planted Kaggle user": "KAGGLE_USERNAME",
    "a planted Kaggle key": "KAGGLE_KEY",
    "a planted tracking password": "MLFLOW_TRACKING_PASSWORD",
    "a planted cloud key's id": "AWS_ACCESS_KEY_ID",
    "a planted cloud key": "AWS_SECRET_ACCESS_KEY",
    "a planted cloud session": "AWS_SESSION_TOKEN",
}
"""Secrets that stand in variables of the environment by themselves; the others stand in addresses.

MLFLOW_TRACKING_USERNAME is none: MLflow shows it as who made a run.
"""
ADDRESSES = ("archive's user", "archive's password", "archive's token", "tracking address's password")
COUNTS = {emotion: [8, 2, 2] for emotion in EMOTIONS}
SERVED = "name: served\nsources: [archive, environment, kaggle]\narchive: null\nkaggle: a/b/versions/1\n"


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Plant every secret, run the commands, and yield of each secret where it was found."""
    secrets = {name: planted.new() for name in (*VARIABLES, *(f"a planted {name}" for name in ADDRESSES))}
    user, password, token, tracking = (secrets[f"a planted {name}"] for name in ADDRESSES)
    project = _project(folder / "project")
    with _archive(folder, token) as archive, tracking_server(folder) as server:
        address = f"http://{user}:{password}@{archive}/served.zip?token={token}"
        store = server.replace("http://", f"http://{user}:{tracking}@")
        environment = {
            **{variable: secrets[name] for name, variable in VARIABLES.items()},
            "MLFLOW_TRACKING_USERNAME": "somebody",
            "FER2013_ARCHIVE": address,
            "MLFLOW_TRACKING_URI": store,
            **_places(folder),
        }
        printed = folder / "printed"
        printed.mkdir()
        for number, (command, more, succeeds) in enumerate(_commands(address, store, short)):
            done = project.run(*command, check=False, **{**environment, **more})
            assert (done.returncode == 0) == succeeds, (command, done.stdout, done.stderr)
            (printed / f"{number} {' '.join(command[:3])}.txt".replace("/", "")).write_text(done.stdout + done.stderr)
    where = planted.found(folder, secrets)
    yield from (Outcome(name, f"stands in {', '.join(where[name][:5])}" if where[name] else None) for name in secrets)


def _commands(address: str, store: str, short: bool) -> Iterator[tuple[list[str], dict[str, str], bool]]:
    """Yield commands, what their environment has besides, and whether they succeed."""
    python = ["python", "-m"]
    override = f"data.archive='{address}'"
    refused = f"{address}&refused"
    nowhere = f"127.0.0.1:{free_port()}"
    away = f"{store.partition('@')[0]}@{nowhere}"
    sweep = [*python, "pipeline.train", "-m", "seed=1,2", "hydra.sweep.dir=multirun/swept"]
    yield ["dvc", "repro"], {}, True
    yield sweep, {}, True
    yield [*sweep, override], {}, False
    yield [*python, "pipeline.download"], {"FER2013_ARCHIVE": refused}, False
    yield [*python, "pipeline.train"], {"MLFLOW_TRACKING_URI": away}, False
    if short:
        return
    yield [*python, "pipeline.compare", "swept"], {}, True
    yield [*python, "pipeline.search", "synthetic", override], {}, False
    yield [*python, "pipeline.download", override], {}, True
    yield [*python, "pipeline.train", override, "train.epochs=2"], {}, False
    yield [*python, "pipeline.download", f"data.archive='{refused}'"], {}, False
    yield [*python, "pipeline.download"], {"FER2013_ARCHIVE": address.replace("http", "ftp")}, False
    yield [*python, "pipeline.use", override], {}, False
    yield [*python, "pipeline.train", f"tracking.uri='{address.replace('http', 'gopher')}'"], {}, False
    yield (
        [*python, "pipeline.download"],
        {"FER2013_ARCHIVE": "", "HTTPS_PROXY": f"http://{nowhere}"},
        False,
    )  # Kaggle, out of reach
    yield [*python, "pipeline.evaluate", "tracking=local"], {}, True
    yield ["dvc", "metrics", "show"], {}, True


def _project(folder: Path) -> Project:
    folder.mkdir()
    project = shrunk(folder)
    project.path("conf/data/served.yaml").write_text(
        f"{SERVED}classes: {json.dumps(EMOTIONS)}\ncounts: {json.dumps(COUNTS)}\nsha256: null\nsynthetic_seed: null\n"
    )
    project.edit("params.yaml", "data: synthetic", "data: served")
    project.edit("params.yaml", "tracking: local", "tracking: server")
    return with_dvc(project)


def _places(folder: Path) -> dict[str, str]:
    """Return the variables that bring what is kept outside a project (home, caches, temporary files) into `folder`."""
    names = {"HOME": "home", "TMPDIR": "tmp", "KAGGLEHUB_CACHE": "kaggle", "DVC_SITE_CACHE_DIR": "dvc"}
    for name in names.values():
        (folder / name).mkdir(exist_ok=True)
    return {variable: str(folder / name) for variable, name in names.items()}


@contextlib.contextmanager
def _archive(folder: Path, token: str) -> Iterator[str]:
    """Serve an archive of synthetic faces to who has the `token`; yield host and port."""
    path = folder / "served.zip"
    synthetic.draw(path, COUNTS, seed=1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.path.endswith(f"token={token}")
            body = path.read_bytes() if allowed else b""
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
