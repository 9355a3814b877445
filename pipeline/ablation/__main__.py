"""Trains an experiment with and without each technique, and reports the difference in accuracy on val."""

import statistics
from typing import Annotated, Any

from omegaconf import OmegaConf
from pydantic import Field

from pipeline.core import config, files, paths
from pipeline.core.command import command, usage
from pipeline.core.section import Count, Section
from pipeline.core.validation import validate
from pipeline.sweep import secrets
from pipeline.sweep.plan import WHERE, check_only, find_file
from pipeline.sweep.ranking import aligned


class Ablation(Section):
    """A file of conf/ablation/: the overrides of the experiment, and those that remove or add each technique."""

    overrides: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Count], Field(min_length=2)]
    without: dict[str, Annotated[list[str], Field(min_length=1)]]
    added: dict[str, Annotated[list[str], Field(min_length=1)]]


@command
@usage("pipeline.ablation NAME")
def main(arguments: list[str]) -> None:
    """Write results/ablations/NAME.json: `python -m pipeline.ablation sprint`."""
    name, *elsewhere = arguments or [""]
    content = OmegaConf.to_container(OmegaConf.load(find_file("ablation", name)))
    settings = validate(Ablation, content, f"conf/ablation/{name}.yaml")
    check_only(elsewhere, WHERE)  # the file has the seeds
    for changes in ([], *settings.without.values(), *settings.added.values()):
        config.compose([*settings.overrides, *changes])  # validate all before any work
    from pipeline.sweep.jobs import read_result
    from pipeline.sweep.sweep import sweep

    seeds = "seed=" + ",".join(map(str, settings.seeds))
    data: dict[str, str] = {}

    def train(changes: list[str]) -> list[float]:
        results = [read_result(folder) for folder in sweep([*settings.overrides, *changes, seeds, *elsewhere])]
        data.update(results[0]["data"])
        return [result["val"]["accuracy"] for result in results]

    experiment = train([])
    rows = [
        {"technique": technique, "overrides": changes, **_compare(experiment, train(changes), included)}
        for included, techniques in ((True, settings.without), (False, settings.added))
        for technique, changes in techniques.items()
    ]
    shown = secrets.shown("pipeline.ablation", arguments)
    result = {"ablation": name, "command": shown, **settings.model_dump(include={"overrides", "seeds"})}
    result |= {"data": data, "experiment": experiment, "techniques": rows}
    files.write_json(paths.ablation(name), result)
    print(f"\n{_table(rows)}\n")
    print(f"{paths.ablation(name)}: `python -m pipeline.readme` writes it to docs/recipes.md")


def _compare(experiment: list[float], changed: list[float], included: bool) -> dict[str, Any]:
    """Return the val accuracy with and without a technique, and the difference of each seed."""
    with_it, without = (experiment, changed) if included else (changed, experiment)
    gains = [a - b for a, b in zip(with_it, without, strict=True)]
    means = {"with": statistics.mean(with_it), "without": statistics.mean(without)}
    differences = {"gain": statistics.mean(gains), "deviation": statistics.stdev(gains), "gains": gains}
    return {"included": included, **means, **differences}


def _table(rows: list[dict[str, Any]]) -> str:
    table = [["technique", "in the experiment", "without", "with", "difference"]]
    for row in rows:
        gain = f"{100 * row['gain']:+.2f} ± {100 * row['deviation']:.2f}"
        included = "yes" if row["included"] else "no"
        table.append([row["technique"], included, f"{row['without']:.2%}", f"{row['with']:.2%}", gain])
    return aligned(table)


if __name__ == "__main__":
    main()
