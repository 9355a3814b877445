"""The provenance of a run: code, versions and hardware."""

import ast
import functools
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
INSTRUCTIONS = ("amx_tile", "avx512f", "avx2", "avx")
"""The names that Linux gives to sets of instructions of x86 processors, the fastest one first."""


def git_commit() -> str | None:
    """Return the commit of the checkout, with `-dirty` if tracked files differ from it; None outside git."""
    try:
        command = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@functools.cache  # each job of a sweep asks for it
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the numbers."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def hardware() -> dict[str, Any]:
    """Return processor, its widest instructions, cores that this process may use, memory in GiB, and platform.

    The chosen GPUs are there too, if the environment chooses.
    """
    import psutil

    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "instructions": next((name for name in INSTRUCTIONS if name in _cpuinfo("flags").split()), None),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.system() + " " + platform.machine(),
    } | ({"cuda_visible_devices": visible} if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) else {})


def fingerprint(architectures: set[str], *parts: Any) -> str:
    """Return a digest of the code that decides a training's weights, the versions, and `parts` (JSON values).

    The code is what dvc.yaml declares for the train stage, with the modules of these `architectures`. Comments,
    docstrings and formatting do not count.
    """
    digest = hashlib.sha256(json.dumps([parts, versions()], sort_keys=True).encode())
    for file in training_code(architectures):
        digest.update(_without_docstrings(file.read_text("utf-8")).encode())
    return digest.hexdigest()[:16]


def training_code(architectures: set[str]) -> list[Path]:
    """Return the project's source files that decide the weights of models of `architectures`."""
    deps = _train_deps((paths.ROOT / "dvc.yaml").read_text("utf-8"))
    names = {
        dep.replace("${choices.model}", name) for dep in deps if dep.startswith("pipeline/") for name in architectures
    }
    return sorted(paths.ROOT / name for name in names)


@functools.cache
def _train_deps(dvc_yaml: str) -> list[str]:
    return yaml.safe_load(dvc_yaml)["stages"]["train"]["deps"]


@functools.cache  # each job of a sweep asks for the same files
def _without_docstrings(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _cpuinfo(field: str) -> str:
    """Return a field of the first processor in Linux' /proc/cpuinfo; empty if it is not there."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        return ""
