"""Load on the store of runs: sixteen jobs that write at a time, and ten thousand runs beside a few."""

import json
import re
import sqlite3
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import copies
from tests.conftest import Project, free_port, wait_until_healthy
from tests.processes import running
from tests.store import Store

JOBS, EPOCHS = 16, 3
RUNS = {"few": 100, "many": 10_000}
"""How many runs a store has besides the sweep of twelve that is compared; the UI's list shows a hundred."""
TIMES = 5
SWEEP = "load"
REPEATED = ("params", "tags", "metrics", "latest_metrics")
"""Tables with what belongs to a run."""


def measure() -> Iterator[dict]:
    """Yield what jobs side by side lose, and how much longer requests take in a store of many runs, as ratios."""
    yield from _side_by_side()
    with TemporaryDirectory() as folder:
        stores = {name: _store(Path(folder) / name, runs) for name, runs in RUNS.items()}
        for what, seconds in {"compare of a sweep of 12": _compare, "the start of a stage's Tracker": _tracker}.items():
            yield from _rows(what, {name: lambda p=project, s=seconds: s(p) for name, project in stores.items()})
        with _served(stores["few"]) as few, _served(stores["many"]) as many:
            yield from _rows("the run list of MLflow's UI", {"few": lambda: _list(few), "many": lambda: _list(many)})


def _rows(what: str, measured: dict[str, Callable[[], float]]) -> Iterator[dict]:
    pairs = [{name: seconds() for name, seconds in measured.items()} for _ in range(TIMES + 1)][1:]
    yield {"what": f"{what}, {RUNS['many']:,} runs", "unit": "s", "values": [pair["many"] for pair in pairs]}
    yield {"what": f"... over that with {RUNS['few']}", "unit": "", "values": [p["many"] / p["few"] for p in pairs]}


def _side_by_side() -> Iterator[dict]:
    """Yield what a sweep lost whose jobs all run at the same time, on drawn faces."""
    with TemporaryDirectory() as temporary:
        project = Project(Path(temporary))
        copies.make(project.folder)
        faces = project.path("conf/data/synthetic.yaml")
        faces.write_text(re.sub(r"\[\d+, \d+, \d+\]", "[20, 5, 5]", faces.read_text()))
        started = time.perf_counter()
        sweep = ["data=synthetic", "model=linear", f"train.epochs={EPOCHS}", f"seed=range(1,{JOBS + 1})"]
        parallel = ["hydra/launcher=parallel", f"hydra.launcher.n_jobs={JOBS}", "hydra.sweep.dir=swept"]
        done = project.stage("train", "-m", *sweep, *parallel, check=False)
        seconds = time.perf_counter() - started
        jobs = [json.loads(path.read_text()) for path in project.path("swept").glob("*/job.json")]
        finished = sum(job["status"] == "FINISHED" for job in jobs)
        values = Counter()
        with closing(sqlite3.connect(project.path("mlflow.db"))) as store:
            for run, key, step in store.execute("SELECT run_uuid, key, step FROM metrics WHERE key LIKE 'val_%'"):
                values[run, key, step] += 1
        expected = JOBS * EPOCHS * len(("val_loss", "val_accuracy"))
        odd = abs(expected - len(values)) + sum(n > 1 for n in values.values())
        locked = (done.stdout + done.stderr).count("database is locked")
    yield {"what": f"sweep of {JOBS} jobs, all at a time", "unit": "s", "values": [seconds]}
    yield {"what": "... jobs that did not finish", "unit": "", "values": [float(JOBS - finished)]}
    yield {"what": "... epochs' values on val that are missing or twice", "unit": "", "values": [float(odd)]}
    yield {"what": "... 'database is locked'", "unit": "", "values": [float(locked)]}


def _store(folder: Path, more: int) -> Project:
    """Return a copy of the project whose store has a sweep of twelve trainings, and so many runs besides."""
    folder.mkdir()
    copies.make(folder)
    store = Store(Project(folder))
    for rate in range(1, 13):
        last = store.add(f"lr {rate}", 0.5 + rate / 100, tags={"sweep": SWEEP}, optimizer={"learning_rate": rate / 1e3})
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database, database:
        _multiply(database, last, more)
    return store.project


def _multiply(database: sqlite3.Connection, run: str, more: int) -> None:
    """Add so many copies of `run`, but that they are of no sweep, with 10 metrics of 20 epochs each."""
    database.execute("CREATE TEMP TABLE numbers (n INTEGER)")
    database.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(more)))
    new = "printf('%032x', numbers.n)"
    for table in ("runs", *REPEATED):
        columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join({"run_uuid": new, "name": "'copy ' || numbers.n"}.get(name, name) for name in columns)
        kept = "AND key != 'sweep'" if table == "tags" else ""
        database.execute(f"INSERT INTO {table} SELECT {chosen} FROM {table}, numbers WHERE run_uuid = ? {kept}", [run])
    for table, epochs in (("metrics", "1 AND 20"), ("latest_metrics", "20 AND 20")):
        database.execute(f"DELETE FROM {table} WHERE run_uuid IN (SELECT {new} FROM numbers)")
        database.execute(
            f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) "
            f"SELECT 'metric_' || (points.n % 10), 0.5, 1700000000000, {new}, 1 + points.n / 10, 0 "
            f"FROM numbers, numbers AS points WHERE 1 + points.n / 10 BETWEEN {epochs}"
        )


def _compare(project: Project) -> float:
    return _seconds(lambda: project.stage("compare", SWEEP))


def _tracker(project: Project) -> float:
    """Return how long it takes to open the store, without the imports."""
    code = (
        "import time, mlflow; from pipeline.core.schema import Tracking; from pipeline.tracking.tracker import Tracker;"
        "s = time.perf_counter(); Tracker(Tracking(uri=None, experiment='fer2013')); print(time.perf_counter() - s)"
    )
    return float(project.run(sys.executable, "-c", code).stdout.split()[-1])


@contextmanager
def _served(project: Project) -> Iterator[str]:
    """Serve the project's runs as `make ui` does; yield the address."""
    port = free_port()
    command = [sys.executable, "-m", "pipeline.ui", "--port", str(port)]
    place = {"cwd": project.folder, "env": project.environment()}
    with running(project.path("ui.txt"), *command, **place) as server:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"


def _list(address: str) -> float:
    """Return how long the request takes with which the UI fills its list of runs."""
    asked = {"experiment_ids": ["1"], "run_view_type": "ACTIVE_ONLY", "max_results": 100}
    asked |= {"order_by": ["attributes.start_time DESC"]}
    request = urllib.request.Request(f"{address}/ajax-api/2.0/mlflow/runs/search", json.dumps(asked).encode())
    request.add_header("Content-Type", "application/json")
    return _seconds(lambda: json.load(urllib.request.urlopen(request))["runs"])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
