"""The page in headless Chromium: an uploaded picture, a (fake) camera, and requests that are refused."""

import base64
import io
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from pipeline.core.errors import PipelineError
from pipeline.download import synthetic
from pipeline.show import __main__ as show
from tests.attacks import picture, post
from tests.browser import chromium
from tests.conftest import SECONDS, Project, free_port, listening, wait_until_healthy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("finished")]


def scene() -> np.ndarray:
    """Return a grey frame of 640x480 pixels with a synthetic face that the cascade finds."""
    frame = np.full((480, 640), 150, np.uint8)
    face = synthetic.render(np.zeros(1, int), np.random.default_rng(0))[0]
    frame[120:360, 200:440] = cv2.resize(face, (240, 240), interpolation=cv2.INTER_CUBIC)
    return frame


@pytest.fixture(scope="module")
def port(finished: Project) -> Iterator[int]:
    port = free_port()
    server = finished.start(
        sys.executable, "-m", "pipeline.show", "--port", str(port), "--detector", "haar", real=False
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server, "models")
        yield port
    finally:
        os.killpg(server.pid, 9)


@pytest.fixture(scope="module")
def browser(tmp_path_factory, port):
    """Return a browser on the page, whose camera shows a synthetic face."""
    folder = tmp_path_factory.mktemp("show")
    with open(folder / "camera.y4m", "wb") as video:
        video.write(b"YUV4MPEG2 W640 H480 F25:1 Ip A1:1 C420jpeg\n")
        for _ in range(10):
            video.write(b"FRAME\n" + scene().tobytes() + b"\x80" * (640 * 480 // 2))
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    file = f"--use-file-for-fake-video-capture={folder / 'camera.y4m'}"
    with chromium(folder / "chromium", *fake, file) as driver:
        driver.get(f"http://127.0.0.1:{port}/")
        wait(driver, lambda d: d.find_elements(By.CSS_SELECTOR, "#model option"))
        yield driver


def wait(browser, until):
    problem = lambda: browser.find_element(By.ID, "problem").text  # noqa: E731
    try:
        return WebDriverWait(browser, SECONDS).until(until)
    except Exception:
        pytest.fail(f"the page says {problem()!r} and shows {browser.find_element(By.TAG_NAME, 'body').text[:1000]!r}")


def drawn(browser) -> tuple[int, int]:
    """Return the size of the annotated picture that the page shows, once it is there."""
    ready = (
        "const i = document.querySelector('img.result'); return i && i.complete ? [i.naturalWidth, i.naturalHeight] : 0"
    )
    return tuple(wait(browser, lambda d: d.execute_script(ready)))


def test_an_uploaded_picture_is_shown_with_boxes_bars_and_grad_cam(browser, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "face.png"), scene())
    browser.find_element(By.ID, "explain").click()
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "face.png"))
    width, height = drawn(browser)
    assert width > 640
    assert height == 480
    table = wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#predictions table"))[0]
    head = [cell.text for cell in table.find_elements(By.TAG_NAME, "th")]
    assert head == ["face", "prediction", "rejected", "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    (row,) = table.find_elements(By.CSS_SELECTOR, "tbody tr, tr:not(:has(th))")[-1:]
    shares = [int(cell.text.rstrip("%")) for cell in row.find_elements(By.TAG_NAME, "td")[3:]]
    assert 95 <= sum(shares) <= 105
    wait(browser, lambda d: d.find_elements(By.ID, "explanation"))
    assert browser.find_element(By.ID, "problem").text == ""


def test_the_camera_is_shown_until_it_is_stopped(browser):
    button = browser.find_element(By.ID, "camera")
    button.click()
    source = "return document.querySelector('img.result')?.src"
    before = browser.execute_script(source)
    wait(browser, lambda d: d.execute_script(source) != before)
    assert browser.execute_script(source).startswith("data:image/jpeg")
    assert button.text == "Stop the camera"
    assert drawn(browser)[0] > 640
    button.click()
    wait(browser, lambda d: button.text == "Start the camera")
    assert browser.find_element(By.ID, "problem").text == ""


def test_an_unreadable_picture_is_reported(browser, tmp_path: Path):
    (tmp_path / "broken.png").write_text("no picture")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "broken.png"))
    wait(browser, lambda d: "is not a readable picture" in d.find_element(By.ID, "problem").text)


def test_models_of_runs_can_be_chosen(browser, finished):
    names = [option.text for option in Select(browser.find_element(By.ID, "model")).options]
    assert any(
        name.startswith("seed_cnn, adam 0.001, epochs 3, seed 2 (") and ", synthetic, val " in name for name in names
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("picture?model=weights/../secret.h5", b"x", 400, "is not a readable picture"),
        ("picture?model=nothing", b"P5 1 1 255 x", 400, "no model 'nothing'"),
        ("picture?model=../models/model.h5", b"P5 1 1 255 x", 400, "no model ../models/model.h5"),
        ("camera?model=nothing&session=1", b"", 400, "is not a readable picture"),
        ("picture?model=x", b"x" * 31_000_000, 413, "more than 30,000,000 bytes"),
        ("picture?model=x", picture(9999, 9999), 400, "9999 x 9999 pixels; accepted: at most 36,000,000 in all"),
    ],
)
def test_a_bad_request_is_refused_with_a_reason(port, path, body, status, message):
    found, text = post(port, f"/{path}", body)
    assert found == status
    assert message in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 400), ({"Origin": "http://evil.example"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403)],
)
def test_other_hosts_and_sites_are_refused(port, headers, status):
    assert post(port, "/picture?model=x", b"x", **headers)[0] == status


def test_a_large_picture_is_shown_smaller(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/models") as answer:
        model = json.load(answer)[0]["key"]
    status, text = post(port, f"/picture?model={model}", picture(4000, 3000))
    shown = Image.open(io.BytesIO(base64.b64decode(json.loads(text)["image"].partition(",")[2])))
    assert (status, shown.height) == (200, 1440)


def test_no_page_may_frame_the_answers_or_guess_their_type(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers.get_all("Content-Security-Policy")


def test_only_this_machine_is_served(port):
    assert listening(port) == {("127.0.0.1", port)}


@pytest.mark.parametrize("port", ["99999", "-1", "0"])
def test_an_invalid_port_is_refused(port):
    with pytest.raises(PipelineError, match=f"--port {port}; accepted: 1 to 65535"):
        show.main.__wrapped__(["--port", port])
