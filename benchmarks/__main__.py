"""Runs every measurement and prints one table: `make bench`, or `python -m benchmarks throughput` for one of them.

Each alternative is measured in turn, over and over, in one process or as whole commands; the figure is the median
of the ratios of neighbours, with their range, because a shared machine's speed drifts.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    commands,
    faces,
    latency,
    limits,
    live,
    load,
    memory,
    models,
    serving,
    settings,
    sweeps,
    throughput,
)
from pipeline.core import provenance

MEASUREMENTS: dict[str, Callable[[], list[dict]]] = {
    "throughput": throughput.measure,
    "settings": settings.measure,
    "commands": commands.measure,
    "models": models.measure,
    "latency": latency.measure,
    "live": live.measure,
    "serving": serving.measure,
    "faces": faces.measure,
    "limits": limits.measure,
    "memory": memory.measure,
    "sweeps": sweeps.measure,
    "load": load.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], help="which ones; all of them by default")
    parser.add_argument("--json", metavar="FILE", help="also write the table, hardware and versions to FILE")
    arguments = parser.parse_args()
    measured = {}
    for name in arguments.names or MEASUREMENTS:
        measured[name] = []
        for row in MEASUREMENTS[name]():
            measured[name].append(row)
            print(line(row), flush=True)
    if arguments.json:
        write(Path(arguments.json), measured)


def write(path: Path, measured: dict[str, list[dict]]) -> None:
    """Write the tables, each with its hardware and versions; those of other measurements that stand there stay."""
    made_on = {"hardware": provenance.hardware(), "versions": provenance.versions()}
    before = json.loads(path.read_text()) if path.exists() else {}
    tables = before | {name: {**made_on, "rows": rows} for name, rows in measured.items()}
    path.write_text(json.dumps(tables, indent=2) + "\n")


def line(row: dict) -> str:
    values = row["values"]
    middle = statistics.median(values)
    target = f"  target {row['target']}" if "target" in row else ""
    spread = f"({min(values):.3f} to {max(values):.3f}, n={len(values)})"
    return f"{row['what']:<66} {middle:9.3f} {row['unit']}  {spread}{target}"


if __name__ == "__main__":
    main()
