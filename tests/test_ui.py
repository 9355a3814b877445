"""The MLflow UI in headless Chromium: the run, its curves and its artifacts, and runs beside each other."""

import functools
import itertools
import json
import os
import shutil

import mlflow
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import chromium
from tests.conftest import SECONDS, Project, free_port
from tests.store import Store

pytestmark = pytest.mark.xdist_group("finished")
NAME, MODEL = "seed_cnn, adam 0.001, epochs 3, seed 2", "seed_cnn-adam-0-001-epochs-3-seed-2"


SWEPT = (0.1, 0.01, 0.001, 0.0001)


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Project:
    """Return a copy of the finished project with a sweep of four runs besides."""
    project = Project(shutil.copytree(finished.folder, tmp_path_factory.mktemp("ui") / "copy"))
    store = Store(project, "synthetic")
    for lr in SWEPT:
        store.add(f"learning_rate={lr}", 0.5 + lr, optimizer={"learning_rate": lr})
    return project


@pytest.fixture(scope="module")
def opened(project):
    """Serve the project's runs as `make ui` does, and yield the address that it prints."""
    server = project.start("python", "-m", "pipeline.ui", "--port", str(free_port()))
    try:
        (address,) = itertools.islice((line for line in server.stdout if line.startswith("http")), 1)
        yield address.strip()
    finally:
        os.killpg(server.pid, 15)
        server.wait(SECONDS)


@pytest.fixture(scope="module")
def address(opened) -> str:
    return opened.partition("/#/")[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def shown(browser, address: str, path: str, *words: str) -> str:
    """Open a page of the UI, wait until it shows all of `words`, and return its text."""
    browser.get(f"{address}/#/{path}")
    body = lambda driver: driver.find_element(By.TAG_NAME, "body").text  # noqa: E731
    try:
        WebDriverWait(browser, SECONDS, ignored_exceptions=(Exception,)).until(
            lambda driver: all(word in body(driver) for word in words)
        )
    except Exception:
        pytest.fail(f"{path} does not show {words}; it shows:\n{body(browser)[:2000]}")
    return body(browser)


@pytest.fixture
def page(browser, address):
    """Return the function that opens a page of the finished project's UI."""
    return functools.partial(shown, browser, address)


@pytest.fixture(scope="module")
def client(project) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{project.path('mlflow.db')}")


@pytest.fixture(scope="module")
def run(client):
    (found,) = client.search_runs(["1"], "tags.source = 'dvc repro'")
    return found


def test_the_printed_address_opens_on_the_runs_with_the_columns_that_matter(tmp_path, opened):
    """In a browser that has not been there: MLflow's own start page shows no run."""
    with chromium(tmp_path, "--window-size=2600,1400") as browser:
        server, _, path = opened.partition("/#/")
        text = shown(browser, server, path, NAME, "learning_rate=0.1", "synthetic train")
        headers = ["Run Name", "Created", "val/accuracy", "test/accuracy", "model.name", "optimizer.learning_rate"]
        headers += ["train.batch_size", "train.epochs", "seed", "Duration", "Dataset"]
        found = browser.find_elements(By.CSS_SELECTOR, ".ag-header-cell")
        places = {cell.text.strip(): cell.location["x"] for cell in found if cell.text.strip()}
        assert sorted(places, key=places.get) == headers
        assert "Traces 0" not in text
        assert "Overview" not in text, "the mode for GenAI"


def test_the_run_shows_its_parameters_metrics_and_datasets(page, run):
    page(
        f"experiments/1/runs/{run.info.run_id}",
        *(NAME, "Finished", "Metrics (23)", "optimizer.learning_rate", "data_digest", "test/accuracy"),
        *("synthetic train", "synthetic test", MODEL),
    )


def test_the_curves_are_drawn_in_sections(page, browser, run):
    page(f"experiments/1/runs/{run.info.run_id}/model-metrics", "model\n(4)", "test\n(8)", "train\n(4)", "val\n(7)")
    WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"))


def test_the_description_shows_accuracy_and_the_curves(page, browser, run):
    page(f"experiments/1/runs/{run.info.run_id}", "Accuracy: val ")
    wait_for_picture(browser, "get-artifact")


def test_comparing_a_sweep_opens_on_val_accuracy_against_what_was_swept(page, client):
    ids = [run.info.run_id for run in client.search_runs(["1"], "attributes.run_name LIKE 'learning_rate=%'")]
    path = f'compare-runs?runs={json.dumps(ids)}&experiments=["1"]'
    text = page(path, "Comparing 4 Runs", "Parallel Coordinates Plot", "learning_rate=0.0001")
    chosen = text[text.index("Parameters:") : text.index("Clear All")].split("\n")
    assert [line for line in chosen if line] == ["Parameters:", "optimizer.learning_rate", "Metrics:", "val/accuracy"]


def test_the_models_have_the_names_of_their_runs(page):
    page("experiments/1/models?workflowType=machine_learning", MODEL, "Ready", NAME)


def test_the_registered_model_says_what_it_is(page):
    page("models/synthetic/versions/1", "champion", "val accuracy ", "95% interval", f"run: {NAME}")


def test_an_artifact_picture_is_shown(page, browser, run):
    page(f"experiments/1/runs/{run.info.run_id}/artifacts/figures/curves.png", "model.h5", "report.html", "curves.png")
    wait_for_picture(browser)


def wait_for_picture(browser, part_of_address: str = ""):
    """Wait until the page shows a picture of more than 500 pixels' width."""
    WebDriverWait(browser, SECONDS).until(
        lambda driver: any(
            int(image.get_property("naturalWidth")) > 500 and part_of_address in image.get_attribute("src")
            for image in driver.find_elements(By.TAG_NAME, "img")
        )
    )
