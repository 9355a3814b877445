"""Which configuration is best: the results of many trainings as one table."""

import statistics
from typing import Any

from pipeline.sweep.summary import interval, mean_and_deviation

MOST = 7500
"""Characters of a table in a run's description, of which MLflow keeps 8,000: the rest is for what stands beside it."""


def ranked(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each configuration, best first by mean val accuracy: jobs that differ in the seed are one."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        rest = ", ".join(part for part in result["swept"] if not part.startswith("seed="))
        groups.setdefault(rest, []).append(result)
    rows = []
    for label, jobs in groups.items():
        mean, deviation = mean_and_deviation([job["val"]["accuracy"] for job in jobs])
        best = max(jobs, key=lambda job: job["val"]["accuracy"])
        rows.append(
            {
                "configuration": label or "one configuration",
                "jobs": len(jobs),
                "val_accuracy": mean,
                "deviation": deviation,
                "interval": [best["val"]["accuracy_low"], best["val"]["accuracy_high"]],
                "val_macro_f1": statistics.mean(job["val"]["macro_f1"] for job in jobs),
                "epochs_kept": sorted(job["epoch"] for job in jobs),
                "minutes": statistics.mean(job["minutes"] for job in jobs),
                "best": best,
            }
        )
    return sorted(rows, key=lambda row: -row["val_accuracy"])


def markdown(table: list[dict[str, Any]]) -> str:
    """Return the table as Markdown, which reads well in a terminal too."""
    rows = [["", "configuration", "val accuracy", "", "macro F1", "epoch kept", "minutes"]]
    for place, row in enumerate(table, 1):
        spread = interval(*row["interval"]) if row["jobs"] == 1 else f"± {row['deviation']:.1%}, {row['jobs']} seeds"
        kept = ", ".join(map(str, row["epochs_kept"]))
        accuracy, f1 = f"{row['val_accuracy']:.2%}", f"{row['val_macro_f1']:.3f}"
        rows.append([str(place), row["configuration"], accuracy, spread, f1, kept, f"{row['minutes']:.1f}"])
    return aligned(rows)


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells, the first one the heading, as a table in Markdown with columns in line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def shortened(table: str) -> str:
    """Return the Markdown `table`, or as many of its rows as a run's description in MLflow has room for."""
    if len(table) <= MOST:
        return table
    lines = table[: MOST + 1].splitlines()[:-1]  # the last one is cut, or the first too many
    left_out = len(table.splitlines()) - len(lines)
    return "\n".join([*lines, "", f"The {left_out} rows below these stand in the table among the artifacts."])
