"""Runs the parts, and counts: `python -m tests.torture`, or some of them: `python -m tests.torture crash server`.

They are written to results/torture.json, of which docs/robustness.md's table is made, in place of the same parts there.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.core import files, paths, provenance
from tests.torture.parts import PARTS, faults


def main(names: list[str]) -> None:
    """Run the parts `names`, or all; exit with 1 where anything was lost."""
    if unknown := set(names) - set(PARTS):
        sys.exit(f"error: {min(unknown)} is no part; accepted: {', '.join(PARTS)}")
    names = [name for name in PARTS if name in (names or PARTS)]
    rows = [row for name in names for row in count(name)]
    injected, lost = (sum(row[key] for row in rows) for key in ("injected", "lost"))
    print(f"{injected} faults, {lost} with a loss, in {sum(row['seconds'] for row in rows) / 60:.1f} minutes")
    write(paths.TORTURE, names, rows)
    sys.exit(1 if lost else 0)


def write(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    """Write `rows`, those of the parts `names`, in place of the same parts that `path` has of this machine."""
    machine = {"hardware": provenance.hardware(), "versions": provenance.versions()}
    before = files.read_json(path) if path.exists() else {"faults": []}
    kept = before["faults"] if {key: before.get(key) for key in machine} == machine else []
    rows = [row for row in kept if row["part"] not in names] + rows
    rows.sort(key=lambda row: PARTS.index(row["part"]))
    minutes = sum(row["seconds"] for row in rows) / 60
    files.write_json(path, {"command": "python -m tests.torture", "minutes": minutes, **machine, "faults": rows})


def count(name: str) -> list[dict[str, Any]]:
    """Return for each kind of fault in the part `name` how many were injected, survived and lost, and seconds."""
    injected: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        before = time.monotonic()
        for outcome in faults(name, Path(folder), short=False):
            injected[outcome.fault] += 1
            lost[outcome.fault] += outcome.lost is not None
            now = time.monotonic()
            seconds[outcome.fault] += now - before
            before = now
            result = f"LOST: {outcome.lost}" if outcome.lost else "survived"
            print(f"{name}: {outcome.fault}, {injected[outcome.fault]}: {result}", flush=True)
    return [
        {"part": name, "fault": f, "injected": n, "survived": n - lost[f], "lost": lost[f], "seconds": seconds[f]}
        for f, n in injected.items()
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
