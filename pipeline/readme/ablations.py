"""What each lever of a recipe is worth."""

import json
from typing import Any

from pipeline.core import paths
from pipeline.sweep.ranking import aligned


def tables() -> str:
    """Return what stands in results/ablations/, as Markdown."""
    parts = []
    for path in sorted(paths.ablation("x").parent.glob("*.json")):
        result = json.loads(path.read_text())
        seeds = ", ".join(map(str, result["seeds"]))
        parts += [f"### {result['ablation']}", "", f"    {result['command']}", ""]
        parts += [
            f"`{' '.join(result['overrides'])}`, seeds {seeds}: accuracy on val of {result['data']['name']}.",
            "",
            table(result),
            "",
        ]
    return "\n".join(parts)


def table(result: dict[str, Any]) -> str:
    """Return the levers of an ablation, those that the recipe has and those that it has not, the best of each first."""
    parts = []
    for kept, title in ((True, "lever of the recipe"), (False, "lever that it does without")):
        levers = sorted((r for r in result["levers"] if r["kept"] == kept), key=lambda r: -r["gain"])
        if levers:
            parts.append(aligned([[title, "without", "with", "difference"], *map(_row, levers)]))
    return "\n\n".join(parts)


def _row(lever: dict[str, Any]) -> list[str]:
    gain = f"{100 * lever['gain']:+.2f} ± {100 * lever['deviation']:.2f}"
    return [lever["lever"], f"{lever['without']:.2%}", f"{lever['with']:.2%}", gain]
