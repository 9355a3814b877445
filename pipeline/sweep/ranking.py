"""Ranks configurations: the results of many trainings in one table."""

import statistics
from typing import Any

from pipeline.metrics.constant import constant_class
from pipeline.sweep.summary import interval, mean_and_deviation

MOST = 7500
"""The most characters of a table in a run's description: MLflow stores 8,000, including the text around the table."""


def by_dataset(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return a table for each dataset and choice of classes: accuracies on different images cannot be compared."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        data, classes = result["data"], ", ".join(result["val"]["emotions"])
        groups.setdefault(f"{data['name']} ({data['digest'][:12]}): {classes}", []).append(result)
    return {name: ranked(group) for name, group in groups.items()}


def ranked(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per configuration, highest mean val accuracy first; seeds of one configuration share a row."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        configuration = ", ".join(part for part in result["swept"] if not part.startswith("seed="))
        groups.setdefault(configuration, []).append(result)
    rows = []
    for configuration, jobs in groups.items():
        mean, deviation = mean_and_deviation([job["val"]["accuracy"] for job in jobs])
        best = max(jobs, key=lambda job: job["val"]["accuracy"])
        constant = {only for job in jobs if (only := constant_class(job["val"]))}
        note = f" (predicts one class: {' or '.join(sorted(constant))})" if constant else ""
        rows.append(
            {
                "configuration": (configuration or "one configuration") + note,
                "jobs": len(jobs),
                "val_accuracy": mean,
                "deviation": deviation,
                "interval": [best["val"]["accuracy_low"], best["val"]["accuracy_high"]],
                "val_macro_f1": statistics.mean(job["val"]["macro_f1"] for job in jobs),
                "epochs": sorted(job["epoch"] for job in jobs),
                "minutes": statistics.mean(job["minutes"] for job in jobs),
                "best": best,
            }
        )
    return sorted(rows, key=lambda row: -row["val_accuracy"])


def markdown(table: list[dict[str, Any]]) -> str:
    """Return the table as Markdown with aligned columns, readable in a terminal too."""
    rows = [["", "configuration", "val accuracy", "", "macro F1", "best epoch", "minutes"]]
    for place, row in enumerate(table, 1):
        spread = interval(*row["interval"]) if row["jobs"] == 1 else f"± {row['deviation']:.1%}, {row['jobs']} seeds"
        epochs = ", ".join(map(str, row["epochs"]))
        accuracy, f1 = f"{row['val_accuracy']:.2%}", f"{row['val_macro_f1']:.3f}"
        rows.append([str(place), row["configuration"], accuracy, spread, f1, epochs, f"{row['minutes']:.1f}"])
    return aligned(rows)


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells, the first of them the header, as a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def shortened(table: str) -> str:
    """Return the Markdown `table`, shortened to the rows that fit into a run's description in MLflow."""
    if len(table) <= MOST:
        return table
    lines = table[: MOST + 1].splitlines()[:-1]  # without the last line, which is incomplete
    left_out = len(table.splitlines()) - len(lines)
    return "\n".join([*lines, "", f"The other {left_out} rows are in the table among the artifacts."])
