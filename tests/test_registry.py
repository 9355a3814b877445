"""The champion: the rule by which a model takes its place."""

import contextlib
import functools
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking
from pipeline.data import arrays
from pipeline.tracking import models, registry
from pipeline.tracking.tracker import Tracker
from tests.conftest import tracking_server

DATA = {"name": "fer2013", "digest": "a" * 64}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    before, paths.MLRUNS = paths.MLRUNS, tmp_path_factory.mktemp("store") / "mlruns"
    paths.MLRUNS.mkdir()
    yield Tracker(Tracking(uri=None, experiment="test"))
    paths.MLRUNS = before


@pytest.fixture(autouse=True)
def _all_emotions(monkeypatch):
    """Let each dataset have all emotions: there are no arrays here."""
    monkeypatch.setattr(arrays, "names", lambda _: list(EMOTIONS))


def scores(accuracy: float) -> dict:
    """Return the metrics on val as far as the registry reads them."""
    emotions = {name: {"recall": recall, "images": 9} for name, recall in (("happy", 0.6), ("sad", 0.4))}
    bounds = {"accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.01}
    return {"accuracy": accuracy, **bounds, "images": 3589, "emotions": emotions}


def train(tracker: Tracker, folder: Path) -> str:
    """Add a run with a model, and return its id."""
    run_id = tracker.create("a run", {}, {})
    (folder / "model.h5").write_bytes(b"weights")
    models.log(tracker, run_id, folder / "model.h5", list(EMOTIONS), 1)
    return run_id


@pytest.fixture
def trained(tracker, tmp_path):
    """Return the function that adds a run with a model, and offers it with some val accuracy."""

    def add(accuracy: float, data: dict[str, str] = DATA, classes=EMOTIONS) -> tuple[str, str | None]:
        run_id = train(tracker, tmp_path)
        return run_id, registry.offer(tracker, run_id, data, list(classes), scores(accuracy))

    return add


def champion(tracker, name: str) -> str:
    return tracker.client.get_model_version_by_alias(name, registry.CHAMPION).run_id


@pytest.mark.process
def test_a_higher_val_accuracy_on_the_same_images_takes_the_place(tracker, trained):
    first, address = trained(0.50)
    assert address == "models:/fer2013/1"
    assert champion(tracker, "fer2013") == first
    assert trained(0.49)[1] is None
    assert trained(0.50)[1] is None, "as good is not better"
    assert champion(tracker, "fer2013") == first
    better, address = trained(0.51)
    assert address == "models:/fer2013/2"
    assert champion(tracker, "fer2013") == better
    assert tracker.client.get_model_version("fer2013", "1").run_id == first, "earlier champions stay"
    other, _ = trained(0.1, data={**DATA, "digest": "b" * 64})
    assert champion(tracker, "fer2013") == other, "on other images there is nothing to compare"
    assert "on val is higher" in tracker.client.get_registered_model("fer2013").description


def test_a_version_says_what_it_is_and_where_its_numbers_come_from(tracker, trained):
    data = {"name": "described", "digest": "c" * 64}
    run_id, _ = trained(0.7025, data)
    version = tracker.client.get_model_version_by_alias("described", "champion")
    assert version.description == (
        "val accuracy 70.25% (95% interval 69.2% to 71.2%, 3589 images) on described (cccccccccccc); "
        f"run: a run ({run_id})"
    )
    assert version.source.startswith("models:/m-")


def test_models_of_other_emotions_have_a_champion_of_their_own(tracker, trained):
    run_id, address = trained(0.9, classes=["sad", "happy"])
    assert address == "models:/fer2013-happy-sad/1"
    assert champion(tracker, "fer2013-happy-sad") == run_id


def test_a_champion_whose_alias_was_taken_away_is_none(tracker, trained):
    data = {**DATA, "name": "faces"}
    trained(0.9, data)
    tracker.client.delete_registered_model_alias("faces", registry.CHAMPION)
    run_id, address = trained(0.5, data)
    assert address == "models:/faces/2"
    assert champion(tracker, "faces") == run_id


class Handler(BaseHTTPRequestHandler):
    """Hands requests on to the MLflow server, but for those for an alias where `failing`: they get a 500."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, kind, text = 500, "text/plain", b"the database is busy"
        if not (self.server.failing and self.command == "GET" and "/alias" in self.path):
            onward = http.client.HTTPConnection(self.server.behind, timeout=60)
            onward.request(self.command, self.path, body, dict(self.headers))
            with onward.getresponse() as got:
                status, kind, text = got.status, got.headers["Content-Type"], got.read()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (http.server's names)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def proxy(address: str) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.behind, server.failing = address.removeprefix("http://"), False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.slow
def test_a_server_that_fails_has_not_said_that_there_is_no_champion(tmp_path, monkeypatch, request):
    import mlflow

    monkeypatch.setattr(paths, "MLRUNS", tmp_path / "mlruns")
    request.addfinalizer(functools.partial(mlflow.set_tracking_uri, mlflow.get_tracking_uri()))
    with tracking_server(tmp_path) as address, proxy(address) as server:
        tracker = Tracker(Tracking(uri=f"http://127.0.0.1:{server.server_port}", experiment="test"))
        good, poor = (train(tracker, tmp_path) for _ in range(2))
        assert registry.offer(tracker, good, DATA, list(EMOTIONS), scores(0.6)) == "models:/fer2013/1", "no such model"
        server.failing = True
        with pytest.raises(PipelineError, match=r"cannot register the model: .*500"):
            registry.offer(tracker, poor, DATA, list(EMOTIONS), scores(0.5))
        server.failing = False
        assert champion(tracker, "fer2013") == good
        assert registry.offer(tracker, poor, DATA, list(EMOTIONS), scores(0.5)) is None
        tracker.client.delete_registered_model_alias("fer2013", registry.CHAMPION)
        assert registry.offer(tracker, poor, DATA, list(EMOTIONS), scores(0.5)) == "models:/fer2013/2", "no such alias"
