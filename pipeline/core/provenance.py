"""Where a run comes from: code, versions and hardware."""

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from pipeline.core import paths

PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "mlflow", "dvc", "hydra-core")


def git_commit() -> str | None:
    """Return the commit of the checkout, with `-dirty` where tracked files differ from it; None outside git."""
    try:
        command = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def hardware() -> dict[str, Any]:
    """Return the processor's name, the cores this process may use, the memory in GiB, and the platform."""
    import psutil

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.system() + " " + platform.machine(),
    }


def fingerprint(*parts: Any) -> str:
    """Return a digest of `parts` (JSON values), the versions, and the code that dvc.yaml says a training depends on."""
    whole = hashlib.sha256(json.dumps([parts, versions()], sort_keys=True).encode())
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    found = {paths.ROOT / dep for dep in stages["train"]["deps"] if dep.startswith("pipeline/")}
    for file in sorted({file for path in found for file in ([path] if path.is_file() else path.rglob("*.py"))}):
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
