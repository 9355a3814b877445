"""Joins the rows of two MLflow stores of one schema: `main` of a connection is ours, `theirs` a copy of the other.

In the copy, their rows first take the ids that they have or will have here; then those that are not here are inserted.
"""

import sqlite3
from typing import NamedTuple

from pipeline.core.errors import PipelineError
from pipeline.merge import versions

_RUNS = ("runs", "tags", "params", "metrics", "latest_metrics", "datasets", "inputs", "input_tags")
_MODELS = ("logged_models", "logged_model_params", "logged_model_metrics", "logged_model_tags")
_TRACES = ("trace_info", "trace_tags", "trace_request_metadata", "trace_metrics", "spans", "span_metrics")
_REGISTRY = ("registered_models", "registered_model_tags", *versions.VERSIONED)
JOINED = (*("experiments", "experiment_tags", "assessments"), *_RUNS, *_MODELS, *_TRACES, *_REGISTRY)
OWN = (
    *("alembic_version", "workspaces", "jobs", "job_locks", "scheduler_leases", "sql_trace_rollup_rebuild_queue"),
    *("sql_trace_metric_daily_rollups", "sql_span_cost_daily_rollups", "sql_assessment_daily_rollups"),
)
"""What a store says of itself, or sums up from the rest."""

# Runs that both have, and that went on there; one that this machine lost sight of is KILLED here.
_LATER = """CREATE TEMP TABLE later AS SELECT run_uuid FROM theirs.runs t JOIN main.runs o USING (run_uuid)
    WHERE t.status NOT IN ('RUNNING', 'SCHEDULED')
        AND (t.end_time > coalesce(o.end_time, 0) OR o.status = 'KILLED' AND t.status != 'KILLED')"""


class Joined(NamedTuple):
    """What became of the other store's runs: how many are new, were here, were here and have ended since.

    The names of those that have not ended, and whatever else a user wants to know.
    """

    new: int
    known: int
    ended: int
    running: list[str]
    notes: list[str]


def join(db: sqlite3.Connection, label: str) -> Joined:
    """Bring into main all that theirs, called `label`, has more; the caller commits.

    What both have stays ours, but for the end of runs that went on there. Raises PipelineError where a row has no
    place here.
    """
    _number_experiments(db)
    _name_datasets(db)
    notes = [*versions.fit(db, label), *_unseen(db)]
    db.execute(_LATER)
    new, known = _counts(db)
    (ended,) = db.execute("SELECT count(*) FROM later").fetchone()
    running = db.execute("SELECT name FROM theirs.runs WHERE status IN ('RUNNING', 'SCHEDULED')").fetchall()
    for table in JOINED:
        _insert(db, table)
    _take_over_ends(db)
    return Joined(new, known, ended, [name for (name,) in running], notes)


def _counts(db: sqlite3.Connection) -> tuple[int, int]:
    here = "run_uuid IN (SELECT run_uuid FROM main.runs)"
    return db.execute(
        f"SELECT count(*) FILTER (WHERE NOT {here}), count(*) FILTER (WHERE {here}) FROM theirs.runs"
    ).fetchone()


def _columns(db: sqlite3.Connection, table: str, key: bool = False) -> str:
    """Return the names of the columns of `table`, or of its primary key, as SQL has them."""
    condition = "pk > 0" if key else "true"
    names = db.execute(f"SELECT name FROM pragma_table_info(?) WHERE {condition}", (table,)).fetchall()
    return ", ".join(f'"{name}"' for (name,) in names)


def _insert(db: sqlite3.Connection, table: str) -> None:
    """Insert the rows of `table` whose key is not here."""
    columns, key = _columns(db, table), _columns(db, table, key=True)
    db.execute(f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM theirs.{table}")
    if row := db.execute(f"SELECT {key} FROM theirs.{table} EXCEPT SELECT {key} FROM main.{table}").fetchone():
        raise PipelineError(f"{table}: the row {row} contradicts one that is here; nothing was merged")


def _number_experiments(db: sqlite3.Connection) -> None:
    """Give their experiments the ids of ours of the same name, or the next free ones."""
    db.execute(
        """CREATE TEMP TABLE experiment AS
        SELECT t.experiment_id AS there, coalesce(o.experiment_id, (SELECT max(experiment_id) FROM main.experiments)
            + row_number() OVER (PARTITION BY o.experiment_id IS NULL ORDER BY t.experiment_id)) AS here
        FROM theirs.experiments t LEFT JOIN main.experiments o USING (workspace, name)"""
    )
    for table in JOINED:
        if '"experiment_id"' in _columns(db, table):
            versions.renumber(db, table, "experiment_id", "SELECT here FROM experiment WHERE there = experiment_id")


def _name_datasets(db: sqlite3.Connection) -> None:
    """Let their runs name our row of a data set that both experiments know."""
    db.execute(
        """CREATE TEMP TABLE dataset AS SELECT t.dataset_uuid AS there, o.dataset_uuid AS here
        FROM theirs.datasets t JOIN main.datasets o USING (experiment_id, name, digest)"""
    )
    for table, column in (("inputs", "source_id"), ("logged_model_metrics", "dataset_uuid")):
        here = f"(SELECT here FROM dataset WHERE there = {column})"
        db.execute(f"UPDATE theirs.{table} SET {column} = {here} WHERE {column} IN (SELECT there FROM dataset)")


def _take_over_ends(db: sqlite3.Connection) -> None:
    """Let runs and models that went on there be as they are there: their state, tags and latest metrics."""
    state = "SELECT name, status, end_time FROM theirs.runs t WHERE t.run_uuid = runs.run_uuid"
    later = "run_uuid IN (SELECT run_uuid FROM later)"
    db.execute(f"UPDATE main.runs SET (name, status, end_time) = ({state}) WHERE {later}")
    db.execute(f"DELETE FROM main.tags WHERE key = 'error' AND {later}")  # of an end that was none
    columns = _columns(db, "tags")
    db.execute(f"INSERT OR REPLACE INTO main.tags ({columns}) SELECT {columns} FROM theirs.tags WHERE {later}")
    columns = _columns(db, "latest_metrics")
    db.execute(
        f"""INSERT OR REPLACE INTO main.latest_metrics ({columns}) SELECT {columns} FROM theirs.latest_metrics t
        WHERE EXISTS (SELECT 1 FROM main.latest_metrics o WHERE (o.run_uuid, o.key) = (t.run_uuid, t.key)
            AND (t.step, t.timestamp) > (o.step, o.timestamp))"""
    )
    newer = (
        "t.model_id = logged_models.model_id AND t.last_updated_timestamp_ms > logged_models.last_updated_timestamp_ms"
    )
    state = "status, status_message, last_updated_timestamp_ms"
    db.execute(
        f"""UPDATE main.logged_models SET ({state}) = (SELECT {state} FROM theirs.logged_models t WHERE {newer})
        WHERE EXISTS (SELECT 1 FROM theirs.logged_models t WHERE {newer})"""
    )


def _unseen(db: sqlite3.Connection) -> list[str]:
    """Say what a user looks for in vain: tables that are not joined, and runs of experiments that are deleted here."""
    tables = {name for (name,) in db.execute("SELECT name FROM theirs.sqlite_master WHERE type = 'table'")}
    others = sorted(tables - {*JOINED, *OWN, "sqlite_sequence"})
    rows = {name: db.execute(f'SELECT count(*) FROM theirs."{name}"').fetchone()[0] for name in others}
    notes = [f"not brought in: {n} rows of MLflow's table {name}" for name, n in rows.items() if n]
    deleted = """SELECT name FROM main.experiments o JOIN theirs.experiments t USING (workspace, name)
        WHERE o.lifecycle_stage = 'deleted' AND t.lifecycle_stage = 'active'"""
    return notes + [f"experiment {name} is deleted here, and its runs are not shown" for (name,) in db.execute(deleted)]
