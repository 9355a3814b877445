"""Draws the pictures of docs/mlflow.md: a small sweep on synthetic faces, in MLflow's UI as a browser opens it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.browser import chromium  # noqa: E402
from tests.conftest import free_port  # noqa: E402

SWEEP = ("-m", "optimizer.learning_rate=5e-4,1e-3,1.5e-3", "train.batch_size=16,64", "sweep=lr_and_batch")
COMMANDS = (("use", "experiment=demo"), ("download",), ("preprocess",), ("train",), ("evaluate",), ("train", *SWEEP))
SIZE, SCALE, SECONDS = (1900, 950), 0.6, 8
CLOSED = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


def main() -> None:
    """Write docs/mlflow-*.png."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("conf", "pipeline", "params.yaml", "dvc.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, Path(folder, name))
        for name, *arguments in COMMANDS:
            subprocess.run([sys.executable, "-m", f"pipeline.{name}", *arguments], cwd=folder, check=True)
        _draw(folder)


def _draw(folder: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "pipeline.ui", "--port", str(free_port())], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        address = next(line.strip() for line in server.stdout if line.startswith("http"))
        base = address.partition("/#/")[0]
        client = mlflow.MlflowClient(base)
        runs = client.search_runs(["1"], "tags.`mlflow.parentRunId` != ''")
        champion = client.get_model_version_by_alias("synthetic", "champion")
        ids = json.dumps([run.info.run_id for run in runs])
        pages = {
            "runs": address,
            "compare": f'{base}/#/compare-runs?runs={ids}&experiments=["1"]',
            "model": f"{base}/#/models/synthetic/versions/{champion.version}",
        }
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        with tempfile.TemporaryDirectory() as profile, chromium(Path(profile), size) as browser:
            browser.get(f"{base}/health")
            browser.execute_script(CLOSED)
            for name, page in pages.items():
                browser.get("about:blank")
                browser.get(page)
                time.sleep(SECONDS)
                picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
                picture = picture.resize([round(SCALE * side) for side in picture.size], Image.Resampling.LANCZOS)
                picture.quantize(256).save(ROOT / "docs" / f"mlflow-{name}.png", optimize=True)
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
