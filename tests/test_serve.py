"""MLflow's model server with a trained model: pictures over HTTP give predictions, or an error with a reason."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.core.constants import EMOTIONS
from tests.conftest import ROOT, Project, free_port, listening, wait_until_healthy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("finished")]


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Project:
    return Project(shutil.copytree(finished.folder, tmp_path_factory.mktemp("serve") / "copy"))


@pytest.fixture(scope="module")
def foreign(project) -> Path:
    """Put code of another's into the logged model, and return the file that it would write."""
    (model,) = project.path("mlruns/artifacts/models").glob("*/artifacts")
    marker = project.path("marker")
    (model / "code/pipeline/serve/served.py").write_text(f"open({str(marker)!r}, 'w').close()")
    return marker


@pytest.fixture(scope="module")
def server(project, foreign) -> Iterator[str]:
    """Return the address of a server of the project's champion."""
    port = free_port()
    command = (sys.executable, "-m", "pipeline.serve", "models:/synthetic@champion", "--port", str(port))
    command += ("--detector", "haar")
    process = project.start(*command, real=False)
    try:
        assert any(f"http://127.0.0.1:{port}/invocations" in line for line in process.stdout)
        wait_until_healthy(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def ask(server: str, pictures: list, content_type: str = "application/json", **params) -> tuple[int, dict]:
    """Return the status and the content of the server's answer."""
    table = {"dataframe_split": {"columns": ["image"], "data": [[p] for p in pictures]}, "params": params}
    request = urllib.request.Request(
        f"{server}/invocations", json.dumps(table).encode(), {"Content-Type": content_type}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def encoded(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_training_prediction_export_and_service_give_equal_probabilities(server, finished, tmp_path):
    from pipeline.data import arrays, batches
    from pipeline.export import formats
    from pipeline.faces.classifier import Classifier
    from pipeline.metrics import calibration, inference
    from pipeline.models import runtimes

    classifier = Classifier(finished.path("models/model.h5"))
    split = arrays.load(finished.path("data/arrays/synthetic"), "val", list(EMOTIONS))
    pixels = split.images()
    in_training = calibration.scaled(inference.predict(classifier.model, split), classifier.info.temperature)
    atol = 1e-5 * max(1, 1 / classifier.info.temperature)  # rounding of the logits, which the temperature divides
    np.testing.assert_allclose(classifier.probabilities(pixels), in_training, atol=atol)
    for name, ending in formats.ENDINGS.items():
        if name != formats.INT8:
            formats.write(classifier.model, name, tmp_path / f"model{ending}", batches.to_unit(pixels).numpy())
            exported = runtimes.load(tmp_path / f"model{ending}")(batches.to_unit(pixels).numpy())
            np.testing.assert_allclose(
                calibration.scaled(exported, classifier.info.temperature), in_training, atol=atol
            )
    for pictures in ([encoded(each) for each in pixels], pixels.tolist()):
        status, answer = ask(server, pictures)
        assert status == 200
        found = pd.DataFrame(answer["predictions"])[list(EMOTIONS)].to_numpy(float)
        np.testing.assert_allclose(found, in_training, atol=10 * atol)


def test_a_photograph_is_searched_for_a_face_or_taken_as_one(server):
    status, answer = ask(server, [encoded(np.full((200, 300, 3), 90, np.uint8))])
    assert (status, answer["predictions"][0]["prediction"]) == (200, "no face")
    status, answer = ask(server, [encoded(np.full((200, 300, 3), 90, np.uint8))], whole=True)
    assert answer["predictions"][0]["side"] == 300


def test_the_documented_command_sends_a_picture_longer_than_an_argument_may_be(server, tmp_path):
    page = (ROOT / "docs/serve.md").read_text()
    command = re.search(r"^    \(printf .*?-d @-$", page, re.MULTILINE | re.DOTALL)[0]
    noise = np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8)
    (tmp_path / "noise.png").write_bytes(base64.b64decode(encoded(noise)))
    command = command.replace("docs/faces.png", "noise.png").replace("http://127.0.0.1:5001", server)
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert "prediction" in json.loads(done.stdout)["predictions"][0], done.stderr


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "there is no picture; accepted: one or more, in the column image"),
        (["%%%"], "picture 0 is neither base64 nor an array"),
        (["ü"], "picture 0 is neither base64 nor an array"),
        ([[[10**400]]], "picture 0 is not an array of numbers"),
        ([base64.b64encode(b"no picture").decode()], "picture 0 is not a readable picture"),
        ([[[0, 999]]], "picture 0 has fractions, or numbers below 0 or above 255; accepted: (h, w) or (h, w, 3) whole"),
        ([[0, 1, 2]], "picture 0 has the shape (3,)"),
        ([[[0, 0.5, 1]]], "picture 0 has fractions"),
        ([[["a"]]], "picture 0 is not an array of numbers"),
        ([None], "picture 0"),
        ([{"a": 1}], "picture 0 is not an array of numbers"),
    ],
)
def test_anything_but_pictures_is_refused_with_a_reason(server, pictures, message):
    status, answer = ask(server, pictures)
    assert status == 400
    assert message in answer["message"]


def test_a_huge_picture_is_refused_and_the_server_continues(server):
    content = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(content, "PNG")
    status, answer = ask(server, [base64.b64encode(content.getvalue()).decode()])
    assert status == 400
    assert "accepted: at most 100,000,000 in all" in answer["message"]
    assert ask(server, [np.zeros((48, 48)).tolist()])[0] == 200


def test_a_client_that_never_finishes_does_not_hold_up_others(server):
    host, _, port = server.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        assert ask(server, [np.zeros((48, 48)).tolist()])[0] == 200


def test_only_this_machine_is_served(server):
    port = int(server.rpartition(":")[2])
    assert listening(port) == {("127.0.0.1", port)}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/synthetic@champion", "port {} cannot be used ([Errno 98] Address already in use"),
        ("models:/faces@nobody", "has no models:/faces@nobody"),
    ],
)
def test_a_start_that_fails_leaves_what_a_running_server_serves(server, project, model, message):
    port = server.rpartition(":")[2]
    served = project.path("outputs/served")
    before = {path: path.stat().st_ino for path in served.rglob("*")}
    done = project.stage("serve", model, "--port", port, "--detector", "haar", check=False)
    assert done.returncode == 1
    assert message.format(port) in done.stderr.splitlines()[-1]
    assert served / port / "MLmodel" in before
    assert {path: path.stat().st_ino for path in served.rglob("*")} == before


def test_code_that_a_model_in_the_store_brings_is_not_run(server, foreign):
    assert ask(server, [np.zeros((48, 48)).tolist()])[0] == 200
    assert not foreign.exists()
