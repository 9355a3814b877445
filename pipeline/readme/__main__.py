"""Writes results/ into the tables of the project's pages: NAME.md.jinja is the template of the block NAME."""

import statistics
from pathlib import Path
from typing import Any

from pipeline.core import files, paths
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError
from pipeline.metrics import notebook
from pipeline.plots import page
from pipeline.sweep import summary

BLOCKS = {
    paths.README: ("summary",),
    paths.ROOT / "docs" / "results.md": ("results", "experiments"),
    paths.ROOT / "docs" / "recipes.md": ("details", "ablations"),
    paths.ROOT / "docs" / "corruptions.md": ("corruptions",),
    paths.ROOT / "docs" / "robustness.md": ("torture",),
    paths.weights("x").parent / "README.md": ("card",),
}
"""The blocks of each page."""


@command
@usage("pipeline.readme")
def main(_: list[str]) -> None:
    """Replace the blocks in the pages."""
    found = results()
    for path, text in {path: filled(path, found) for path in BLOCKS}.items():
        files.replace(path, text.encode())


def results() -> dict[str, Any]:
    """Return the contents of results/: of the committed run, and a list of experiments and of ablations.

    Raises PipelineError if the committed run is missing, or one of the files is damaged.
    """
    out = paths.Outputs()
    names = ("details", "speed", "run")
    found: dict[str, Any] = {name: files.read_json(files.require_file(getattr(out, name))) for name in names}
    found["history"] = files.read_csv(files.require_file(out.history))
    images = sum(files.read_json(files.require_file(out.audit))["images"]["train"].values())
    epochs = found["run"]["config"]["train"]["epochs"]
    found["work"] = operations(found["details"]["model"]["macs"], images * epochs)
    experiments = [_experiment(path, images) for path in sorted(paths.experiment("x").parent.glob("*.json"))]
    found["experiments"] = sorted(experiments, key=lambda result: result["total_minutes"])
    found["ablations"] = [files.read_json(path) for path in sorted(paths.ablation("x").parent.glob("*.json"))]
    found["corruptions"] = files.read_json(paths.CORRUPTIONS) if paths.CORRUPTIONS.exists() else None
    found["torture"] = files.read_json(paths.TORTURE) if paths.TORTURE.exists() else None
    return found


def _experiment(path: Path, images: int) -> dict[str, Any]:
    """Return the results of one experiment, with its teachers' results, and the minutes and the work of all trainings.

    `images` is the number of training images.
    """
    result = files.read_json(path)
    settings, teacher = result["config"]["train"], result["config"]["teacher"]
    teachers = [_experiment(paths.experiment(Path(model).stem), images) for model in teacher["models"]]
    predicted = (1 + teacher.get("flip", False)) * sum(each["macs"] for each in teachers)
    work = operations(result["macs"], images * settings["epochs"], predicted) + sum(each["work"] for each in teachers)
    minutes = statistics.mean(result["minutes"]) + sum(each["total_minutes"] for each in teachers)
    return {**result, "teachers": teachers, "total_minutes": minutes, "work": work, "machine": _machine(result)}


def operations(macs: int, images: int, predicted: int = 0) -> float:
    """Return the floating-point operations of a training on `images`, over all epochs, by a model of `macs`.

    A MAC is two operations forward and four backward; `predicted` are the MACs of teachers, which only predict.
    """
    return images * (6.0 * macs + 2.0 * predicted)


def _machine(result: dict[str, Any]) -> str:
    return "{cores} cores of {processor}".format(**result["hardware"])


def written(block: str, found: dict[str, Any]) -> str:
    """Return the Markdown of a block, from what `results` returns."""
    helpers = {"accuracy": summary.accuracy, "machine": _machine, "notebook": notebook}
    helpers |= {"mean": statistics.mean, "median": statistics.median}
    return page.render(Path(__file__).with_name(f"{block}.md.jinja"), **found, **helpers).rstrip() + "\n"


def filled(path: Path, found: dict[str, Any]) -> str:
    """Return the text of a page with its blocks written anew; raise PipelineError if a mark is missing."""
    text = path.read_text()
    for block in BLOCKS[path]:
        begin, end = f"<!-- {block}: written by `python -m pipeline.readme` -->", f"<!-- /{block} -->"
        before, _, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not closed:
            raise PipelineError(f"{path.relative_to(paths.ROOT)} lacks the lines {begin} and {end}")
        text = f"{before}{begin}\n{written(block, found)}{end}{after}"
    return text


if __name__ == "__main__":
    main()
