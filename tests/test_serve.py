"""The service with a trained model: pictures over HTTP give predictions, or an error with a reason."""

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
from tests.attacks import JSON, invocation, picture, post
from tests.conftest import ROOT, Project, free_port, listening

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
        ready = f"ready: POST pictures to http://127.0.0.1:{port}/invocations; Ctrl-C stops the server\n"
        assert ready in iter(process.stdout.readline, "")
        for path in ("health", "ping"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).close()  # printed when it answers
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def ask(server: str, pictures: list, **params) -> tuple[int, dict]:
    """Return the status and the content of the server's answer for a table of pictures."""
    table = {"dataframe_split": {"columns": ["image"], "data": [[p] for p in pictures]}, "params": params}
    return send(server, json.dumps(table).encode())


def send(server: str, body: bytes, content_type: str = "application/json", **headers: str) -> tuple[int, dict]:
    request = urllib.request.Request(f"{server}/invocations", body, {"Content-Type": content_type, **headers})
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
    command = command.replace("docs/faces.jpg", "noise.png").replace("http://127.0.0.1:5001", server)
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


FACE = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
TEXT, ARRAY = encoded(FACE), FACE.tolist()
LINES = "\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))


@pytest.mark.parametrize(
    "shape",
    [
        {"dataframe_split": {"columns": ["name", "image"], "data": [["a", TEXT], ["b", ARRAY]]}},
        {"dataframe_records": [{"image": TEXT}, {"image": ARRAY}]},
        *({shape: [{"image": TEXT}, {"image": TEXT}]} for shape in ("instances", "inputs")),
        *({shape: [TEXT, TEXT]} for shape in ("instances", "inputs")),
        *({shape: [ARRAY, ARRAY]} for shape in ("instances", "inputs")),
        {"inputs": {"image": [TEXT, ARRAY]}},
    ],
    ids=lambda shape: next(iter(shape)),
)
def test_all_of_mlflows_shapes_are_read(server, shape):
    (status, answer), (_, expected) = send(server, json.dumps(shape).encode()), ask(server, [TEXT, TEXT])
    assert (status, answer) == (200, expected)
    assert len(answer["predictions"]) == 2


def test_csv_is_read(server):
    table = f'name,image\na,{TEXT}\nb,"data:image/png;base64,{TEXT}"\nc,"{LINES}"\n'
    status, answer = send(server, table.encode(), "text/csv; charset=utf-8")
    assert (status, answer) == (200, ask(server, [TEXT] * 3)[1])


@pytest.mark.parametrize(
    "text",
    [f"data:image/png;base64,{TEXT}", LINES, TEXT.replace("+", "-").replace("/", "_").rstrip("=")],
    ids=["address", "lines", "url-safe"],
)
def test_base64_is_read_as_clients_send_it(server, text):
    assert ask(server, [text]) == ask(server, [TEXT])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"inputs": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": ' + b'{"a":' * 100_000, "nested too deeply"),
        (b'{"inputs": [' + b"{}," * 600_000, "too many lists; accepted: at most 500,000, or pictures as base64"),
        (b'{"inputs": [' + b"9" * 5000 + b"]}", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[]", "the JSON has 0 inputs; accepted: an object with one of dataframe_split, dataframe_records, instances"),
        (b'{"inputs": [], "instances": []}', "the JSON has 2 inputs"),
        (b'{"inputs": "AAAA"}', "inputs has no pictures; accepted: a list of them, or the column image"),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "dataframe_split has no pictures"),
        (b'{"inputs": ["AAAA"], "params": {"whole": 1}}', "params cannot be read; accepted: whole and largest"),
        (json.dumps({"inputs": [TEXT] * 257}).encode(), "too many pictures; accepted: at most 256 in a request"),
    ],
    ids=range(11),
)
def test_any_other_body_is_refused_with_a_reason(server, body, message):
    status, answer = send(server, body)
    assert status == 400
    assert message in answer["message"]


@pytest.mark.parametrize(("table", "kind", "status"), [(b"a\n1\n", "text/csv", 400), (b"PAR1", "a/b", 415)])
def test_any_other_table_is_refused_with_a_reason(server, table, kind, status):
    found, answer = send(server, table, kind)
    assert found == status
    assert "; accepted: " in answer["message"]


@pytest.mark.parametrize("sides", [[(6_001, 6_000)], [(6_000, 5_000), (3_000, 2_001)]])
def test_pixels_of_a_request_are_counted_before_they_are_decoded(server, sides):
    pictures = [base64.b64encode(picture(*side)).decode() for side in sides]
    status, answer = ask(server, pictures)
    assert status == 400
    width, height = sides[-1]
    assert f"picture {len(sides) - 1} has {width} x {height} pixels; accepted: at most" in answer["message"]
    assert ask(server, [ARRAY])[0] == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy.example"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_other_hosts_and_sites_are_refused(server, headers, expected):
    port = int(server.rpartition(":")[2])
    assert post(port, "/invocations", invocation(picture(48, 48)), **JSON, **headers)[0] == expected


def test_a_client_that_never_finishes_does_not_hold_up_others(server):
    host, _, port = server.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{")
        assert ask(server, [np.zeros((48, 48)).tolist()])[0] == 200


def test_only_this_machine_is_served(server):
    port = int(server.rpartition(":")[2])
    assert listening(port) == {("127.0.0.1", port)}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/synthetic@champion", "port {} cannot be used ([Errno 98] Address already in use"),
        ("models/model.h5", "port {} cannot be used ([Errno 98] Address already in use"),
        ("models/none.h5", "models/none.h5 is missing; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS"),
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
    assert served / f"{port}.h5" in before
    assert {path: path.stat().st_ino for path in served.rglob("*")} == before


def test_code_that_a_model_in_the_store_brings_is_not_run(server, foreign):
    assert ask(server, [np.zeros((48, 48)).tolist()])[0] == 200
    assert not foreign.exists()
