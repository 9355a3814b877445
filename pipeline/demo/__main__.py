"""Runs the four stages on synthetic faces in a copy of the project; the project's own files do not change."""

import json
import os
import shutil
import subprocess
import sys

from pipeline.core import paths
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError

COPIED = ("conf", "pipeline", "weights", "params.yaml", "dvc.yaml", ".dvcignore")


@command
@usage("pipeline.demo")
def main(_: list[str]) -> None:
    """Run `dvc repro` of the experiment demo in outputs/demo, and print its accuracy on test."""
    folder = paths.ROOT / "outputs" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = paths.ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    # With DVC_ROOT, the runs are logged to the project's own mlruns/.
    environment = {**os.environ, "DVC_ROOT": str(paths.ROOT), "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
    python, dvc = [sys.executable, "-m"], [sys.executable, "-m", "dvc"]
    steps = [[*dvc, "init", "--quiet", "--no-scm"]] if not (folder / ".dvc").exists() else []
    steps += [[*dvc, "config", "core.analytics", "false"]]
    steps += [[*python, "pipeline.use", "experiment=demo"], [*dvc, "repro"]]
    for step in steps:
        if code := subprocess.run(step, cwd=folder, env=environment).returncode:
            raise PipelineError(f"`{' '.join(step[2:])}` in {folder} ended with exit code {code}")
    test = json.loads((folder / "results" / "details.json").read_text())["test"]
    print(
        f"\naccuracy on test: {test['accuracy']:.1%} of {test['images']} synthetic faces (chance is 14%; "
        "not comparable to real faces)"
        f"\nreport:    {folder / 'results' / 'report.html'}"
        "\nMLflow UI: make ui"
    )


if __name__ == "__main__":
    main()
