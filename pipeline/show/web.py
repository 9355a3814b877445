"""A page that shows networks at work: pictures that are dropped on it, or the browser's camera."""

import base64
import io
import tempfile
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.faces import classifier, detection, drawing, media
from pipeline.metrics import gradcam
from pipeline.plots.explanations import explanations
from pipeline.predict import live, output
from pipeline.tracking import finding
from pipeline.tracking.tracker import Tracker

PAGE = Path(__file__).with_name("page.html")
LARGEST = 30_000_000
"""Bytes of the largest picture that is taken."""
NETWORKS, CAMERAS = 4, 16
"""How many networks and cameras are kept in memory: those that were used last."""
RUNS, EXPLAINED = 50, 6
"""How many of MLflow's runs the page offers, the newest; and of how many faces it says what speaks for them."""


class Studio:
    """What the page asks for. One at a time: detectors and cameras have a state, and the cores are shared anyway."""

    def __init__(self, tracker: Tracker):
        """Offer the networks of weights/ and the finished trainings that `tracker` knows."""
        self.tracker = tracker
        self.network = lru_cache(NETWORKS)(self._load)
        self.followed = lru_cache(CAMERAS)(lambda session, key: live.Tracker())
        self.still, self.moving = detection.load(), detection.load(longest=live.LONGEST)
        self.lock = Lock()

    def offered(self) -> list[dict[str, str]]:
        """Return the networks to choose from: a key, and what to call it."""
        shipped = sorted(path.stem for path in paths.weights("any").parent.glob("*.h5"))
        found = [{"key": f"weights/{name}.h5", "name": f"{name} (in weights/)"} for name in shipped]
        for run in finding.newest(self.tracker, RUNS):
            accuracy = run.data.metrics.get("val/accuracy")
            scored = f", val {accuracy:.1%}" if accuracy is not None else ""
            found.append({"key": run.info.run_id, "name": f"{run.info.run_name} ({run.info.run_id[:8]}{scored})"})
        return found

    def picture(self, key: str, content: bytes, explain: bool) -> dict[str, Any]:
        """Return the annotated picture, a row for each face, and where they were seen."""
        frame = media.decode(io.BytesIO(content), "the picture")
        with self.lock:
            answering = self.network(key)
            (faces,) = answering.faces([frame], [self.still(frame)])
            classes = answering.info.classes
            found: dict[str, Any] = {
                "image": _data("png", drawing.annotate(frame, faces, classes)),
                "faces": output.rows("", None, faces, classes),
            }
            if explain and faces:
                found["explanation"] = _explanation(answering, frame, faces)
            return found

    def camera(self, key: str, session: str, content: bytes) -> dict[str, Any]:
        """Return the annotated frame of a camera, whose faces are followed from frame to frame."""
        frame = media.decode(io.BytesIO(content), "the frame")
        with self.lock:
            answering = self.network(key)
            shown = live.annotated(frame, answering, self.moving, self.followed(session, key), None)
            return {"image": _data("jpg", shown)}

    def _load(self, key: str) -> classifier.Classifier:
        if key.endswith(".h5") and key not in {each["key"] for each in self.offered()}:
            raise PipelineError(f"no network {key}; accepted: those of weights/, and runs")
        return classifier.find(str(paths.ROOT / key) if key.endswith(".h5") else key, self.tracker)


def app(tracker: Tracker) -> FastAPI:
    """Return the page's server, for requests that name this machine alone."""
    studio = Studio(tracker)
    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Another site's page could reach this server through a name of its own that leads here.
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @made.get("/")
    def page() -> HTMLResponse:
        own = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": own + "connect-src 'self'"})

    @made.get("/networks")
    def networks() -> list[dict[str, str]]:
        return studio.offered()

    @made.post("/picture")
    async def picture(request: Request, network: str, explain: bool = False) -> dict[str, Any]:
        return await run_in_threadpool(studio.picture, network, await _body(request), explain)

    @made.post("/camera")
    async def camera(request: Request, network: str, session: str) -> dict[str, Any]:
        return await run_in_threadpool(studio.camera, network, session, await _body(request))

    @made.exception_handler(PipelineError)
    def explained(request: Request, error: PipelineError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    return made


async def _body(request: Request) -> bytes:
    """Return what the browser sent, or refuse it when it becomes too much."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            raise HTTPException(413, f"the picture has more than {LARGEST:,} bytes")
    return bytes(content)


def _explanation(answering: classifier.Classifier, frame: np.ndarray, faces: list[classifier.Face]) -> str | None:
    shown = [face.shown(frame) for face in faces[:EXPLAINED]]
    maps = gradcam.explained(answering.model, shown, answering.info.classes)
    if not maps:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explanation.png"
        explanations(path, maps, "What speaks for these emotions")
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _data(kind: str, picture: np.ndarray) -> str:
    """Return a picture as an address that holds it."""
    content = cv2.imencode(f".{kind}", picture)[1].tobytes()
    return f"data:image/{'jpeg' if kind == 'jpg' else kind};base64,{base64.b64encode(content).decode()}"
