"""What the recipes of conf/experiment/ are worth, beside others' networks."""

import json
import statistics
from pathlib import Path
from typing import Any

from pipeline.core import paths

PUBLISHED = [
    ("the notebook, chosen on val + test", "167,239", "", "", "52.43%"),
    ("[humans](https://arxiv.org/abs/1307.0414): 65% ± 5", "", "", "", ""),
    ("[mini-Xception](https://arxiv.org/abs/1710.07557): 66% on the split that also chose", "about 60,000", "", "", ""),
    ("[Tang 2013](https://arxiv.org/abs/1306.0239), the challenge's winner", "", "", "71.16%", ""),
    ("[VGG of 2021](https://arxiv.org/abs/2105.03588): 73.28% on val, chosen on test", "", "", "", ""),
    (
        "[Residual masking network](https://github.com/phamquiluan/ResidualMaskingNetwork), pretrained on ImageNet",
        "143 M",
        "",
        "74.14%",
        "",
    ),
]
"""Who, parameters, and accuracy on val, test, both."""
SPLITS = ("val", "test", "test_clean", "kaggle_test")
NOTE = """\
Recipes: mean and standard deviation over seeds, of the kept weights; minutes of one training and of the networks that
taught it. With one seed: 95% intervals. kaggle_test is val + test. Published figures are as their authors state them,
on the split that they name."""


def table() -> str:
    """Return a line for each recipe in results/experiments/, the recorded run, and others' networks, as Markdown."""
    rows = [["", "parameters", "multiply-adds", "minutes", *SPLITS]]
    rows += sorted([*_recorded(), *map(_row, found())], key=lambda row: float(row[3]))
    rows += [[who, size, "", "", val, test, "", both] for who, size, val, test, both in PUBLISHED]
    return f"{markdown(rows)}\n\n{NOTE}\n{_timed_on()}"


def _timed_on() -> str:
    """Return on what the minutes of the table were measured; nothing where there are none."""
    results = {f"`{r['recipe']}`": r for r in found()}
    if _recorded():
        results["the recorded run"] = json.loads(paths.Outputs().run.read_text())
    places: dict[str, list[str]] = {}
    for name, result in results.items():
        hardware = result["hardware"]
        places.setdefault(f"{hardware['cores']} cores of {hardware['processor']}", []).append(name)
    if len(places) == 1:
        return f"Minutes on {min(places)}.\n"
    timed = "; ".join(f"of {', '.join(names)}: on {place}" for place, names in places.items())
    return f"Minutes {timed}.\n" if timed else ""


def details() -> str:
    """Return of each recipe what else is known: its command, mirrors and ensembles, calibration, time, as Markdown."""
    parts = []
    for r in found():
        rows = [["", *SPLITS], *([way, *map(text, map(scores.get, SPLITS))] for way, scores in r["accuracy"].items())]
        parts += [f"### {_name(r)}", "", f"    {r['command']}", "", markdown(rows), "", _facts(r), ""]
    return "\n".join(parts)


def markdown(rows: list[list[str]]) -> str:
    """Return rows of cells, the first one the heading, as a table whose columns are as wide as they come."""
    first, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([first, "|---" * len(rows[0]) + "|", *rest])


def found() -> list[dict[str, Any]]:
    """Return the results of all recipes that were trained with several seeds, the cheapest first."""
    files = paths.recipe("x").parent.glob("*.json")
    return sorted((json.loads(path.read_text()) for path in files), key=_minutes)


def _row(r: dict[str, Any]) -> list[str]:
    name = f"{_name(r)} ({r['config']['model']['name']}), {_seeds(r)}"
    cost = [f"{r['parameters']:,}", f"{r['macs'] / 1e6:.1f} M", f"{_minutes(r):.1f}"]
    return [name, *cost, *(text(r["accuracy"]["single"][split]) for split in SPLITS)]


def _recorded() -> list[list[str]]:
    """Return the line of the recorded run, where there is one on FER-2013."""
    out = paths.Outputs()
    if not out.metrics.exists():
        return []
    metrics, speed = (json.loads(path.read_text()) for path in (out.metrics, out.speed))
    if metrics["data"]["name"] != "fer2013":
        return []
    model = metrics["model"]
    size = [f"{model['parameters']:,}", f"{model['macs'] / 1e6:.1f} M"]
    scores = (interval(metrics[split]) for split in SPLITS)
    name = f"the recorded run ({model['name']}), one seed"
    return [[name, *size, f"{speed['training_minutes']:.1f}", *scores]]


def interval(scores: dict[str, Any]) -> str:
    """Return one network's accuracy with its 95% interval."""
    return "{accuracy:.2%} ({accuracy_low:.1%} to {accuracy_high:.1%})".format(**scores)


def _minutes(result: dict[str, Any]) -> float:
    """Return how long one training takes in the mean, with those of the networks that taught it."""
    return statistics.mean(result["minutes"]) + sum(map(_minutes, _teachers(result)))


def _teachers(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of the recipes whose networks in weights/ taught this one."""
    networks = map(Path, result["config"]["teacher"]["networks"])
    return [json.loads(paths.recipe(network.stem).read_text()) for network in networks]


def _name(result: dict[str, Any]) -> str:
    data = result["data"]["name"]
    return f"`{result['recipe']}`" + ("" if data == "fer2013" else f" on {data}, not on FER-2013")


def _seeds(result: dict[str, Any]) -> str:
    number = len(result["seeds"])
    return "one seed" if number == 1 else f"{number} seeds"


def _facts(r: dict[str, Any]) -> str:
    before, after = (100 * statistics.mean(r["calibration"][key]) for key in ("test_ece", "test_ece_scaled"))
    reached = [seconds for seconds in r["seconds_to_notebook"] if seconds is not None]
    first = ""
    if reached and r["data"]["name"] == "fer2013":
        spread = f" (median; {min(reached):.1f} to {max(reached):.1f})" if len(reached) > 1 else ""
        first = (
            f"52.43% on val is reached by {len(reached)} of {len(r['seeds'])} trainings, "
            f"after {statistics.median(reached):.1f} s{spread} from the first step on. "
        )
    taught = "".join(
        f"Of the {_minutes(r):.0f} minutes {_minutes(teacher):.0f} are those of its teacher, {_name(teacher)}. "
        for teacher in _teachers(r)
    )
    hardware = r["hardware"]
    return (
        f"{first}{taught}Calibration error on test {before:.1f}%, {after:.1f}% with a temperature fitted on "
        f"val. {hardware['cores']} cores of {hardware['processor']}, TensorFlow {r['versions']['tensorflow']}."
    )


def text(scores: dict[str, Any]) -> str:
    """Return an accuracy in percent with its spread over seeds, or its 95% interval."""
    if "deviation" in scores:
        return f"{scores['mean']:.2%} ± {100 * scores['deviation']:.2f}"
    return f"{scores['mean']:.2%} ({scores['low']:.1%} to {scores['high']:.1%})"
