"""The faults that were made on purpose, and what was lost by them."""

import itertools

from pipeline.core import files, paths
from pipeline.sweeps.ranking import aligned

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
    """Return results/torture.json as Markdown, a line for each kind of fault; nothing where it is not there."""
    if not paths.TORTURE.exists():
        return ""
    result = files.read_json(paths.TORTURE)
    faults = result["faults"]
    rows = [["", "fault", *COUNTS]]
    rows += [[TITLES[f["part"]], f["fault"], *(str(f[key]) for key in COUNTS)] for f in faults]
    for above, row in reversed(list(itertools.pairwise(rows))):
        row[0] = "" if row[0] == above[0] else row[0]
    total = [f"{sum(f[key] for f in faults):,}" for key in COUNTS]
    rows.append(["all", "", *total])
    hardware = result["hardware"]
    where = f"{hardware['cores']} cores of {hardware['processor']}"
    return f"{aligned(rows)}\n\nIn {result['minutes']:.0f} minutes on {where}, by `{result['command']}`.\n"
