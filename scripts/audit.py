"""Holds the locks against the advisories that PyPI knows, with pip-audit: `make audit`.

Exits with 1 where a locked version has a known weakness, and with 3 where that could not be found out, of all or of
some: pip-audit by itself calls a service that it does not reach, or that knows no package, a clean result.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted(ROOT.glob("requirements*.txt"))
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern this project: the id, and why."""
WEAK, UNKNOWN = 1, 3


def main() -> int:
    """Print a line for each weakness, and one that says how many packages were looked at; return the exit code."""
    packages = ask()
    unknown = [package for package in packages if "skip_reason" in package]
    found = [line for package in packages for line in weaknesses(package)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not packages or unknown:
        which = f"{len(unknown)} of {len(packages)}" if packages else "any"
        names = "".join(f", {package['name']}" for package in unknown[:3])
        print(f"not audited: the service cannot be reached, or does not know {which} of the locked packages{names}")
        return WEAK if found else UNKNOWN
    print(f"{len(packages)} locked packages, {len(found)} known weaknesses")
    return WEAK if found else 0


def ask() -> list[dict[str, Any]]:
    """Return what pip-audit says of each locked package; nothing where it reaches no service."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += ["--format", "json", *(part for lock in LOCKS for part in ("--requirement", str(lock)))]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"pip-audit: {reason[:300]}", file=sys.stderr)
        return []


def weaknesses(package: dict[str, Any]) -> list[str]:
    """Return a line for each known weakness of the package that is not ACCEPTED."""
    named = f"{package['name']} {package.get('version')}"
    return [
        f"{named}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for found in package.get("vulns", [])
        if not {found["id"], *found.get("aliases", [])} & set(ACCEPTED)
    ]


if __name__ == "__main__":
    sys.exit(main())
