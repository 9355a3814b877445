"""The faults that were made on purpose, and what was lost by them."""

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


def table() -> str:
    """Return results/torture.json as Markdown: a line for each kind of fault."""
    result = files.read_json(paths.TORTURE)
    faults = result["faults"]
    rows = [["", "fault", "injected", "survived", "lost"]]
    rows += [[TITLES[f["part"]], f["fault"], *(str(f[key]) for key in ("injected", "survived", "lost"))] for f in faults]
    for above, row in reversed(list(zip(rows, rows[1:], strict=False))):
        row[0] = "" if row[0] == above[0] else row[0]
    total = [f"{sum(f[key] for f in faults):,}" for key in ("injected", "survived", "lost")]
    rows.append(["all", "", *total])
    hardware = result["hardware"]
    return (
        f"{aligned(rows)}\n\nIn {result['minutes']:.0f} minutes on {hardware['cores']} cores of {hardware['processor']}, "
        f"by `{result['command']}`.\n"
    )
