"""Joins two registries of models: versions of one number become two, and an alias that both have stays ours.

As in pipeline/merge/rows.py, `main` is our store and `theirs` a copy of the other; only the copy is changed here.
"""

import json
import sqlite3
from itertools import count

VERSIONED = ("model_versions", "model_version_tags", "registered_model_aliases")
"""The tables that name a version of a model."""

Model = tuple[str, str]
"""Workspace and name."""
_TAG = "workspace, name, version, key, value"


def fit(db: sqlite3.Connection, label: str) -> list[str]:
    """Give their versions the numbers they have or will have here; return what a user wants to know of it.

    A version whose number is another one's here takes the next free number, and the tag merged_from.
    """
    theirs = _versions(db, "theirs")
    here = {model: _numbers(_versions(db, "main").get(model, {}), versions) for model, versions in theirs.items()}
    notes = _mark_versions(db, here, label)
    _rename_in_models(db, here)
    db.execute("CREATE TEMP TABLE version (workspace, name, there, here)")
    rows = [(*model, old, new) for model, numbers in here.items() for old, new in numbers.items()]
    db.executemany("INSERT INTO version VALUES (?, ?, ?, ?)", rows)
    for table in VERSIONED:
        model = f"(v.workspace, v.name) = ({table}.workspace, {table}.name)"
        renumber(db, table, "version", f"SELECT here FROM version v WHERE {model} AND there = {table}.version")
    return notes + _mark_aliases(db, label)


def renumber(db: sqlite3.Connection, table: str, column: str, here: str) -> None:
    """Replace the numbers in their `column` by what the query `here` gives for each row."""
    # By way of negative numbers, for two rows may exchange theirs.
    db.execute(f"UPDATE theirs.{table} SET {column} = -1 - ({here})")
    db.execute(f"UPDATE theirs.{table} SET {column} = -1 - {column}")


def _versions(db: sqlite3.Connection, store: str) -> dict[Model, dict[int, tuple]]:
    """Return, for each model, what its versions are known by: when they were made, by which run, and their stage."""
    found: dict[Model, dict[int, tuple]] = {}
    columns = "workspace, name, version, creation_time, run_id, current_stage"
    for workspace, name, version, *known_by in db.execute(f"SELECT {columns} FROM {store}.model_versions"):
        found.setdefault((workspace, name), {})[version] = tuple(known_by)
    return found


def _numbers(ours: dict[int, tuple], theirs: dict[int, tuple]) -> dict[int, int]:
    """Return the number here of each of their versions: that of the same version, its own, or the next free one."""
    numbers = {v: next((n for n, other in ours.items() if _same(made, other)), None) for v, made in theirs.items()}
    numbers |= {v: v for v, number in numbers.items() if number is None and v not in ours}
    free = count(max([*ours, *filter(None, numbers.values())]) + 1)
    return {v: numbers[v] or next(free) for v in sorted(theirs)}


def _same(one: tuple, other: tuple) -> bool:
    """Tell whether two versions of a model are one; MLflow forgets the run of a version that is deleted."""
    return one[0] == other[0] and (one[1] == other[1] or "Deleted_Internal" in (one[2], other[2]))


def _mark_versions(db: sqlite3.Connection, here: dict[Model, dict[int, int]], label: str) -> list[str]:
    """Tag the versions that are new here under another number; those that are here keep the tag that they have."""
    notes = []
    for (workspace, name), numbers in here.items():
        known = _versions(db, "main").get((workspace, name), {})
        for old, new in numbers.items():
            if new in known:
                where = "key GLOB 'merged_*' AND (workspace, name, version) = (?, ?, ?)"
                db.execute(f"DELETE FROM theirs.model_version_tags WHERE {where}", (workspace, name, old))
            elif new != old:
                tag = (workspace, name, old, "merged_from", f"version {old} of {label}")
                db.execute(f"INSERT OR REPLACE INTO theirs.model_version_tags ({_TAG}) VALUES (?, ?, ?, ?, ?)", tag)
                notes.append(f"version {old} of model {name} there is version {new} here")
    return notes


def _rename_in_models(db: sqlite3.Connection, here: dict[Model, dict[int, int]]) -> None:
    """Let the tag by which MLflow links a logged model to its versions name the numbers that they have here."""
    numbers = {name: versions for (_, name), versions in here.items()}
    key = "tag_key = 'mlflow.modelVersions'"
    for model, value in db.execute(f"SELECT model_id, tag_value FROM theirs.logged_model_tags WHERE {key}").fetchall():
        links = json.loads(value)
        for link in links:
            old = int(link["version"])
            link["version"] = type(link["version"])(numbers.get(link["name"], {}).get(old, old))
        db.execute(
            f"UPDATE theirs.logged_model_tags SET tag_value = ? WHERE model_id = ? AND {key}",
            (json.dumps(links), model),
        )


def _mark_aliases(db: sqlite3.Connection, label: str) -> list[str]:
    """Give their versions, instead of an alias that is another one's here, the tag merged_alias."""
    notes = []
    both = """SELECT t.workspace, t.name, t.version, t.alias, o.version FROM theirs.registered_model_aliases t
        JOIN main.registered_model_aliases o USING (workspace, name, alias) WHERE t.version != o.version"""
    for *model, version, alias, ours in db.execute(both).fetchall():
        tag = (*model, version, f"merged_alias.{alias}", label)
        known = "SELECT 1 FROM main.model_version_tags WHERE (workspace, name, version, key) = (?, ?, ?, ?)"
        if not db.execute(known, tag[:4]).fetchone():
            notes.append(f"alias {alias} of model {model[1]} stays with version {ours}; there it is {version}'s")
        db.execute(f"INSERT OR IGNORE INTO theirs.model_version_tags ({_TAG}) VALUES (?, ?, ?, ?, ?)", tag)
    return notes
