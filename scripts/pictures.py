"""Draws pictures of docs/: a small sweep in MLflow's UI, and docs/faces.jpg with its predictions."""

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
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.browser import chromium  # noqa: E402
from tests.conftest import free_port  # noqa: E402

SWEEP = ("-m", "optimizer.learning_rate=5e-4,1e-3,1.5e-3", "train.batch_size=16,64", "sweep=lr_and_batch")
COMMANDS = (("use", "experiment=demo"), ("download",), ("preprocess",), ("train",), ("evaluate",), ("train", *SWEEP))
SIZE, SCALE, SECONDS = (1900, 950), 0.6, 8
FACES = ROOT / "docs" / "faces.jpg"
CLOSED = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


def main() -> None:
    """Write docs/predict.jpg, explain.png, show.png and mlflow-*.png."""
    with tempfile.TemporaryDirectory() as folder:
        _run("predict", str(FACES), "--out", folder)
        shutil.copyfile(Path(folder, "faces.jpg.jpg"), ROOT / "docs" / "predict.jpg")
        _run("explain", str(FACES), "--out", str(ROOT / "docs" / "explain.png"))
        _page(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("conf", "pipeline", "params.yaml", "dvc.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, Path(folder, name))
        for name, *arguments in COMMANDS:
            _run(name, *arguments, folder=Path(folder))
        _draw(folder)


def _run(name: str, *arguments: str, folder: Path = ROOT) -> None:
    subprocess.run([sys.executable, "-m", f"pipeline.{name}", *arguments], cwd=folder, check=True)


def _page(profile: Path) -> None:
    """Draw the page of `make show` with docs/faces.jpg and its Grad-CAM maps."""
    command = [sys.executable, "-m", "pipeline.show", "--port", str(free_port())]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        address = next(line.split()[0] for line in server.stdout if line.startswith("http"))
        with chromium(profile, "--window-size=1000,1180") as browser:
            browser.get(address)
            browser.find_element(By.ID, "explain").click()
            browser.find_element(By.ID, "file").send_keys(str(FACES))
            WebDriverWait(browser, 120).until(lambda page: page.find_elements(By.ID, "explanation"))
            time.sleep(1)
            _save(browser, "show.png", 0.8)
    finally:
        server.terminate()
        server.wait()


def _save(browser: WebDriver, name: str, scale: float) -> None:
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture = picture.resize([round(scale * side) for side in picture.size], Image.Resampling.LANCZOS)
    picture.quantize(256).save(ROOT / "docs" / name, optimize=True)


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
                _save(browser, f"mlflow-{name}.png", SCALE)
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
