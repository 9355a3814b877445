"""The faults that were made on purpose, and what was lost by them."""

from pipeline.core import files, paths
from pipeline.readme.recipes import markdown

TITLES = {
    "crash": "processes killed",
    "storage": "disks and files",
    "server": "tracking server",
    "input": "input",
    "models": "network files",
    "secrets": "secrets",
}
"""What the parts of tests/torture/ are about."""
COUNTS = ("injected", "survived", "lost")


def table() -> str:
    """Return results/torture.json as Markdown, a line for each part and for each of its kinds of faults.

    Nothing where it is not there.
    """
    if not paths.TORTURE.exists():
        return ""
    result = files.read_json(paths.TORTURE)
    rows = [["fault", *COUNTS], ["**all**", *_counts(result["faults"])]]
    for part, title in TITLES.items():
        faults = [fault for fault in result["faults"] if fault["part"] == part]
        rows.append([f"**{title}**", *_counts(faults)])
        rows += [[fault["fault"], *_counts([fault])] for fault in faults]
    hardware = result["hardware"]
    where = f"{hardware['cores']} cores of {hardware['processor']}"
    return f"{markdown(rows)}\n\nIn {result['minutes']:.0f} minutes on {where}, by `{result['command']}`.\n"


def _counts(faults: list[dict]) -> list[str]:
    return [f"{sum(fault[key] for fault in faults):,}" for key in COUNTS]
