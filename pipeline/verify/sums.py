"""Means and standard deviations over seeds, held against the seeds' values: of most of those no network was kept."""

import json
import statistics
from collections.abc import Iterator
from typing import Any

from pipeline.core import paths
from pipeline.verify.check import Check

ROUNDING = 1e-12


def checks() -> Iterator[Check]:
    """Yield what came of each recipe and of each ablation."""
    from pipeline.readme.__main__ import experiments

    yield from map(_recipe, experiments())
    for path in sorted(paths.ablation("x").parent.glob("*.json")):
        yield _ablation(json.loads(path.read_text()))


def _recipe(recorded: dict[str, Any]) -> Check:
    check = Check(f"results/experiments/{recorded['experiment']}.json, summed up anew")
    for way, splits in recorded["accuracy"].items():
        for name, split in splits.items():
            if each := split.get("each"):
                kept = {"mean": split["mean"], "deviation": split["deviation"]}
                found = {"mean": statistics.mean(each), "deviation": statistics.stdev(each)}
                check.compare({f"{way}, {name}": kept}, {f"{way}, {name}": found}, ROUNDING)
    lengths = {key: len(recorded[key]) for key in ("minutes", "seconds_to_notebook")}
    check.compare(lengths, dict.fromkeys(lengths, len(recorded["seeds"])))
    return check


def _ablation(recorded: dict[str, Any]) -> Check:
    check = Check(f"results/ablations/{recorded['ablation']}.json, summed up anew")
    recipe = statistics.mean(recorded["recipe"])
    for lever in recorded["levers"]:
        gain = statistics.mean(lever["gains"])
        found = {
            "with": recipe if lever["kept"] else recipe + gain,
            "without": recipe - gain if lever["kept"] else recipe,
            "gain": gain,
            "deviation": statistics.stdev(lever["gains"]),
        }
        check.compare({lever["lever"]: {key: lever[key] for key in found}}, {lever["lever"]: found}, ROUNDING)
    return check
