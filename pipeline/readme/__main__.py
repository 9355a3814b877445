"""Writes results into the project's pages, from results/: no number there is typed by hand."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core import files, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.readme import ablations, card, recipes, recorded, torture

BLOCKS: dict[Path, dict[str, Callable[[], str]]] = {
    paths.README: {"results": recorded.table, "recipes": recipes.table},
    paths.ROOT / "docs" / "recipes.md": {"recipes": recipes.details, "ablations": ablations.tables},
    paths.ROOT / "docs" / "robustness.md": {"torture": torture.table},
    paths.weights("x").parent / "README.md": {"card": card.tables},
}
"""Of each page, the blocks that are written, and by what."""


@command
def main(_: list[str]) -> None:
    """Replace what stands between the marks in the pages."""
    if not paths.Outputs().metrics.exists():
        raise PipelineError(f"{paths.Outputs().metrics} is missing; `dvc repro` makes it")
    pages = {page: filled(page) for page in BLOCKS}
    for page, text in pages.items():
        files.replace(page, text.encode())


def begin(name: str) -> str:
    """Return the line below which the block `name` stands."""
    return f"<!-- {name}: written by `python -m pipeline.readme` -->"


def end(name: str) -> str:
    """Return the line above which the block `name` stands."""
    return f"<!-- /{name} -->"


def filled(page: Path) -> str:
    """Return the text of `page`, its blocks as results/ has them; raise PipelineError where their marks are missing."""
    text = page.read_text()
    for name, write in BLOCKS[page].items():
        before, _, rest = text.partition(begin(name))
        _, found, after = rest.partition(end(name))
        if not found:
            raise PipelineError(f"{page.relative_to(paths.ROOT)} lacks the lines {begin(name)} and {end(name)}")
        text = before + begin(name) + "\n" + write() + end(name) + after
    return text


if __name__ == "__main__":
    main()
