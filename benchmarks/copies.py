"""Copies of the project in which a measurement may do as it likes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.core import paths
from pipeline.demo import __main__ as demo

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}


def make(folder: Path) -> None:
    """Copy what the stages need into `folder`."""
    for name in demo.COPIED:
        copy = shutil.copytree if (paths.ROOT / name).is_dir() else shutil.copyfile
        copy(paths.ROOT / name, folder / name)


def run(folder: Path, module: str, *arguments: str, **environment: str) -> None:
    """Run `python -m module arguments` in the copy in `folder`, and wait for it."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
