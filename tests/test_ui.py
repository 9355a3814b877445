"""The MLflow UI in headless Chromium: the run, its curves and its artifacts, and runs beside each other."""

import functools
import json
import os
import shutil

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import chromium
from tests.conftest import SECONDS, Project, free_port, wait_until_healthy
from tests.store import Store

pytestmark = pytest.mark.xdist_group("finished")


@pytest.fixture(scope="module")
def store(finished, tmp_path_factory):
    """Return the store of a copy of the finished project, with an experiment of three runs besides."""
    store = Store(Project(shutil.copytree(finished.folder, tmp_path_factory.mktemp("ui") / "copy")), "compared")
    for lr in (0.1, 0.01, 0.001):
        store.add(f"lr {lr}", 0.5 + lr, optimizer={"learning_rate": lr})
    return store


@pytest.fixture(scope="module")
def address(store):
    """Serve the project's runs as `make ui` does, and yield where."""
    port, project = free_port(), store.project
    server = project.start("python", "-m", "pipeline.ui", "--port", str(port))
    assert server.stdout.readline().startswith(f"http://127.0.0.1:{port} shows the runs of sqlite:///{project.folder}/")
    wait_until_healthy(f"http://127.0.0.1:{port}", server)
    yield f"http://127.0.0.1:{port}"
    os.killpg(server.pid, 15)
    server.wait(SECONDS)


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
def run(store):
    client = store.tracker.client
    return client.search_runs([client.get_experiment_by_name("fer2013").experiment_id])[0]


def test_the_run_stands_in_the_list(page, run):
    page(f"experiments/{run.info.experiment_id}/runs", "seed_cnn on synthetic, seed 42")


def test_the_run_shows_its_parameters_and_metrics(page, run):
    page(
        f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        *("seed_cnn on synthetic, seed 42", "Finished", "optimizer.learning_rate", "data_digest", "test/accuracy"),
    )


def test_the_curves_are_drawn(page, browser, run):
    path = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}/model-metrics"
    page(path, "Model metrics", "accuracy")
    WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"))


def test_the_description_shows_accuracy_and_the_curves(page, browser, run):
    page(f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}", "Accuracy: val ")
    wait_for_picture(browser, "get-artifact")


def test_three_runs_stand_beside_each_other(page, browser, store):
    experiment = store.tracker.experiment_id
    ids = [run.info.run_id for run in store.tracker.client.search_runs([experiment])]
    path = f"compare-runs?runs={json.dumps(ids)}&experiments={json.dumps([experiment])}"
    text = page(path, "lr 0.1", "lr 0.01", "lr 0.001", "optimizer.learning_rate", "val_accuracy")
    assert "Comparing 3 Runs" in text
    page(f"experiments/{experiment}/runs?compareRunsMode=CHART", "lr 0.1", "Model metrics")
    # A run is a line and its smoothed copy.
    lines = "return [...document.querySelectorAll('.js-plotly-plot')].map(p => p.querySelectorAll('.js-line').length)"
    WebDriverWait(browser, SECONDS).until(lambda driver: 6 in driver.execute_script(lines))


def test_an_artifact_picture_is_shown(page, browser, run):
    path = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/figures/curves.png"
    page(path, "model.h5", "report.html", "curves.png")
    wait_for_picture(browser)


def wait_for_picture(browser, part_of_address: str = ""):
    """Wait until the page shows a picture of more than 500 pixels' width."""
    WebDriverWait(browser, SECONDS).until(
        lambda driver: any(
            int(image.get_property("naturalWidth")) > 500 and part_of_address in image.get_attribute("src")
            for image in driver.find_elements(By.TAG_NAME, "img")
        )
    )
