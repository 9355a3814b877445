"""The web page that predicts emotions in pictures or the browser's camera."""

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
from pipeline.faces import camera, detection, drawing, media
from pipeline.faces.classifier import Classifier, Face
from pipeline.faces.loading import load_classifier
from pipeline.faces.rows import of_frame
from pipeline.metrics import gradcam
from pipeline.plots import page
from pipeline.plots.explanations import explanations
from pipeline.tracking import finding
from pipeline.tracking.tracker import Tracker

PAGE = Path(__file__).with_name("page.html")
MAX_BYTES = 30_000_000
"""Bytes of the largest picture that is accepted."""
MODELS, CAMERAS = 4, 16
"""The number of models and cameras in memory, the last ones used."""
RUNS, EXPLAINED = 50, 6
"""The number of MLflow's runs to choose from, the newest; the number of faces with Grad-CAM maps."""


class Backend:
    """Answers the page's requests, one at a time: detectors and cameras have a state, and requests share the cores."""

    def __init__(self, tracker: Tracker, detector: str | None):
        """Offer the models of weights/ and of the finished trainings in the store of `tracker`."""
        self.tracker = tracker
        self.classifier = lru_cache(MODELS)(self._load)
        self.face_tracker = lru_cache(CAMERAS)(lambda session, key: camera.FaceTracker())
        self.picture_detector, self.camera_detector = (detection.load(detector, n) for n in (None, camera.LONGEST))
        self.lock = Lock()

    def models(self) -> list[dict[str, str]]:
        """Return the models to choose from, each with its key and name."""
        names = sorted(path.stem for path in paths.weights("any").parent.glob("*.h5"))
        found = [{"key": f"weights/{name}.h5", "name": f"{name} (in weights/)"} for name in names]
        for run in finding.newest(self.tracker, RUNS):
            accuracy = run.data.metrics.get("val/accuracy")
            score = f", val {accuracy:.1%}" if accuracy is not None else ""
            found.append({"key": run.info.run_id, "name": f"{run.info.run_name} ({run.info.run_id[:8]}{score})"})
        return found

    def picture(self, key: str, content: bytes, explain: bool) -> dict[str, Any]:
        """Return the annotated picture, a row for each face, and their Grad-CAM maps if `explain`."""
        frame = media.decode(io.BytesIO(content), "the picture")
        with self.lock:
            classifier = self.classifier(key)
            (faces,) = classifier.faces([frame], [self.picture_detector(frame)])
            classes = classifier.info.classes
            found: dict[str, Any] = {
                "image": _data_url("png", drawing.annotate(frame, faces, classes)),
                "faces": of_frame("", None, faces, classes),
            }
            if explain and faces:
                found["explanation"] = _explanation(classifier, frame, faces)
            return found

    def camera(self, key: str, session: str, content: bytes) -> dict[str, Any]:
        """Return the annotated frame of a camera; its faces are tracked from frame to frame."""
        frame = media.decode(io.BytesIO(content), "the frame")
        with self.lock:
            classifier = self.classifier(key)
            annotated = camera.annotate(frame, classifier, self.camera_detector, self.face_tracker(session, key), None)
            return {"image": _data_url("jpeg", annotated)}

    def _load(self, key: str) -> Classifier:
        if key.endswith(".h5") and key not in {each["key"] for each in self.models()}:
            raise PipelineError(f"no model {key}; accepted: the files of weights/, and the ids of runs")
        return load_classifier(str(paths.ROOT / key) if key.endswith(".h5") else key, self.tracker)


def app(tracker: Tracker, detector: str | None = None) -> FastAPI:
    """Return the page's server; it answers only requests for this machine's own names."""
    backend = Backend(tracker, detector)
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Another site's page could reach this server through a host name of its own that resolves to this machine.
    server.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @server.get("/")
    def index() -> HTMLResponse:
        policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": policy + "connect-src 'self'"})

    @server.get("/models")
    def models() -> list[dict[str, str]]:
        return backend.models()

    @server.post("/picture")
    async def picture(request: Request, model: str, explain: bool = False) -> dict[str, Any]:
        return await run_in_threadpool(backend.picture, model, await _body(request), explain)

    @server.post("/camera")
    async def camera(request: Request, model: str, session: str) -> dict[str, Any]:
        return await run_in_threadpool(backend.camera, model, session, await _body(request))

    @server.exception_handler(PipelineError)
    def refuse(request: Request, error: PipelineError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    return server


async def _body(request: Request) -> bytes:
    """Return the request's body; refuse one with more than MAX_BYTES."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BYTES:
            raise HTTPException(413, f"the picture has more than {MAX_BYTES:,} bytes")
    return bytes(content)


def _explanation(classifier: Classifier, frame: np.ndarray, faces: list[Face]) -> str | None:
    examples = [face.to_example(frame) for face in faces[:EXPLAINED]]
    explained = gradcam.explain(classifier.model, examples, classifier.info.classes)
    if not explained:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explanation.png"
        explanations(path, explained, "What supports these predictions")
        return page.picture(path)


def _data_url(kind: str, picture: np.ndarray) -> str:
    content = cv2.imencode(f".{kind}", picture)[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
