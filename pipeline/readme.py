"""Writes the results into README.md, from results/: no number there is typed by hand."""

import json
import statistics
from typing import Any

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.stage import command

PUBLISHED = [
    ("the notebook, chosen on val + test", "167,239", "", "", "52.43%"),
    ("[humans](https://arxiv.org/abs/1307.0414): 65% ± 5", "", "", "", ""),
    ("[mini-Xception](https://arxiv.org/abs/1710.07557): 66%, on a split that also chose", "about 60,000", "", "", ""),
    ("[Tang 2013](https://arxiv.org/abs/1306.0239), the challenge's winner", "", "", "71.16%", ""),
]
"""Who, parameters, and accuracy on val, test, both."""
SPLITS = {
    "kaggle_test": "val + test, the notebook's validation set",
    "val": "val (PublicTest), which chose the epoch",
    "test": "test (PrivateTest), read once",
    "test_clean": "test without images that stand in train",
}


@command
def main(_: list[str]) -> None:
    """Replace what stands between the marks in README.md."""
    if not paths.Outputs().metrics.exists():
        raise PipelineError(f"{paths.Outputs().metrics} is missing; `dvc repro` makes it")
    text = paths.README.read_text()
    for name, written in (("results", block()), ("recipes", recipes())):
        before, _, rest = text.partition(begin(name))
        _, found, after = rest.partition(end(name))
        if not found:
            raise PipelineError(f"README.md lacks the lines {begin(name)} and {end(name)}")
        text = before + begin(name) + "\n" + written + end(name) + after
    files.replace(paths.README, text.encode())


def begin(name: str) -> str:
    """Return the line of README.md below which the block `name` stands."""
    return f"<!-- {name}: written by `python -m pipeline.readme` -->"


def end(name: str) -> str:
    """Return the line of README.md above which the block `name` stands."""
    return f"<!-- /{name} -->"


def block() -> str:
    """Return the recorded run's results as Markdown."""
    out = paths.Outputs()
    metrics, speed, run = (json.loads(path.read_text()) for path in (out.metrics, out.speed, out.run))
    last = files.read_csv(out.history)[-1]
    model, hardware, versions = metrics["model"], run["hardware"], run["versions"]
    rows = [f"| {what} | {_share(metrics[split])} | {_notebook(split)} |" for split, what in SPLITS.items()]
    return "\n".join(
        [
            f"| {metrics['data']['name']} ({metrics['data']['digest'][:12]}) | {model['name']} here | notebook |",
            "|---|---|---|",
            *rows,
            f"| train, augmented, in epoch {last['epoch']:.0f} | {last['accuracy']:.2%} | 54.22% |",
            f"| manual inspection | {metrics['inspection']['right']} of {metrics['inspection']['images']} | 3 of 7 |",
            "",
            f"Accuracy with its 95% interval; seed {run['config']['seed']}, one run. {model['name']}: "
            f"{model['parameters']:,} parameters, {model['layers']} layers, epoch {model['epoch']} of "
            f"{model['epochs']} kept. Trained in {speed['training_minutes']:.0f} minutes "
            f"({speed['training_images_per_second']:.0f} images/s) on {hardware['cores']} cores of "
            f"{hardware['processor']}, {hardware['platform']}, Python {versions['python']}, "
            f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}.",
            "",
        ]
    )


def recipes() -> str:
    """Return what is known of the recipes in results/recipes/, and of others' networks, as Markdown."""
    found = sorted((json.loads(path.read_text()) for path in paths.recipe("x").parent.glob("*.json")), key=_cost)
    if not found:
        return "No recipe has been trained with several seeds yet.\n"
    lines = ["| | parameters | multiply-adds | minutes | val | test | test_clean | val + test |", "|---" * 8 + "|"]
    lines += [
        f"| {_name(r)} ({r['config']['model']['name']}), {len(r['seeds'])} seeds | {r['parameters']:,} "
        f"| {r['multiply_adds'] / 1e6:.1f} M | {statistics.mean(r['minutes']):.1f} | "
        + " | ".join(text(r["accuracy"]["single"][split]) for split in ("val", "test", "test_clean", "kaggle_test"))
        + " |"
        for r in found
    ]
    lines += [f"| {who} | {size} | | | {val} | {test} | | {both} |" for who, size, val, test, both in PUBLISHED]
    lines += [
        "",
        "Mean and standard deviation over seeds, of the kept weights; minutes of one training. Published figures are",
        "as their authors state them, on the split that they state.",
        "",
        "| besides | val | test | test_clean |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {_name(r)}, {way} | " + " | ".join(text(scores[s]) for s in ("val", "test", "test_clean")) + " |"
        for r in found
        for way, scores in r["accuracy"].items()
        if way != "single"
    ]
    lines += [""]
    for r in found:
        lines += [_details(r), ""]
    return "\n".join(lines)


def _cost(result: dict[str, Any]) -> float:
    return statistics.mean(result["minutes"])


def _name(result: dict[str, Any]) -> str:
    data = result["data"]["name"]
    return f"`{result['recipe']}`" + ("" if data == "fer2013" else f" on {data}, not on FER-2013")


def _details(r: dict[str, Any]) -> str:
    """Return what a recipe's line in the table has no room for."""
    before, after = (100 * statistics.mean(r["calibration"][key]) for key in ("test_ece", "test_ece_scaled"))
    reached = [seconds for seconds in r["seconds_to_notebook"] if seconds is not None]
    first = ""
    if reached and r["data"]["name"] == "fer2013":
        middle, fastest, slowest = statistics.median(reached), min(reached), max(reached)
        first = (
            f"52.43% on val is reached by {len(reached)} of {len(r['seeds'])} seeds, after {middle:.1f} s "
            f"(median; {fastest:.1f} to {slowest:.1f}) from the first step on. "
        )
    hardware = r["hardware"]
    return (
        f"`{r['command']}`: {first}Calibration error on test {before:.1f}%, {after:.1f}% with a temperature fitted on "
        f"val. {hardware['cores']} cores of {hardware['processor']}, TensorFlow {r['versions']['tensorflow']}."
    )


def text(scores: dict[str, Any]) -> str:
    """Return an accuracy in percent with its spread over seeds, or its 95% interval."""
    if "deviation" in scores:
        return f"{scores['mean']:.2%} ± {100 * scores['deviation']:.2f}"
    return f"{scores['mean']:.2%} ({scores['low']:.1%} to {scores['high']:.1%})"


def _share(scores: dict[str, Any]) -> str:
    return "{accuracy:.2%} ({accuracy_low:.2%} to {accuracy_high:.2%})".format(**scores)


def _notebook(split: str) -> str:
    return "52.43%" if split == "kaggle_test" else ""


if __name__ == "__main__":
    main()
