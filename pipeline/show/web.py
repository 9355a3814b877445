"""The web page that predicts emotions in pictures or the browser's camera."""

import base64
import io
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

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
from pipeline.web import guard

PAGE = Path(__file__).with_name("page.html")
MAX_BYTES, MAX_PIXELS = 30_000_000, 36_000_000
"""Bytes and pixels of the largest picture that is accepted."""
SHOWN = 1920
"""Pixels along the longer side of a picture as it is shown."""
SECONDS = 60
"""The time limit of a request."""
MODELS, CAMERAS = 4, 16
"""The number of models and cameras in memory, the last ones used."""
RUNS, EXPLAINED = 50, 6
"""The number of MLflow's runs to choose from, the newest; the number of faces with Grad-CAM maps."""


class Backend:
    """Answers the page's requests; called for one picture at a time, because detectors and cameras have a state."""

    def __init__(self, tracker: Tracker, detector: str | None):
        """Offer the models of weights/ and of the finished trainings in the store of `tracker`."""
        self.tracker = tracker
        self.classifier = lru_cache(MODELS)(self._load)
        self.face_tracker = lru_cache(CAMERAS)(lambda session, key: camera.FaceTracker())
        self.picture_detector, self.camera_detector = (detection.load(detector, n) for n in (None, camera.LONGEST))

    def models(self) -> list[dict[str, str]]:
        """Return the models to choose from, each with its key and name."""
        names = sorted(path.stem for path in paths.weights("any").parent.glob("*.h5"))
        found = [{"key": f"weights/{name}.h5", "name": f"{name} (in weights/)"} for name in names]
        for run in finding.newest(self.tracker, RUNS):
            about = [run.info.run_id[:8], run.data.tags["data"]] if "data" in run.data.tags else [run.info.run_id[:8]]
            if (accuracy := run.data.metrics.get("val/accuracy")) is not None:
                about.append(f"val {accuracy:.1%}")
            found.append({"key": run.info.run_id, "name": f"{run.info.run_name} ({', '.join(about)})"})
        return found

    def picture(self, key: str, content: bytes, explain: bool) -> dict[str, Any]:
        """Return the annotated picture, a row for each face, and their Grad-CAM maps if `explain`."""
        frame = _decode(content)
        classifier = self.classifier(key)
        (faces,) = classifier.faces([frame], [self.picture_detector(frame)])
        classes = classifier.info.classes
        found: dict[str, Any] = {
            "image": _data_url("png", drawing.annotate(*_shown(frame, faces), classes)),
            "faces": of_frame("", None, faces, classes),
        }
        if explain and faces:
            found["explanation"] = _explanation(classifier, frame, faces)
        return found

    def camera(self, key: str, session: str, content: bytes) -> dict[str, Any]:
        """Return the annotated frame of a camera; its faces are tracked from frame to frame."""
        frame, classifier = _decode(content), self.classifier(key)
        annotated = camera.annotate(frame, classifier, self.camera_detector, self.face_tracker(session, key), None)
        return {"image": _data_url("jpeg", annotated)}

    def _load(self, key: str) -> Classifier:
        if key.endswith(".h5") and key not in {each["key"] for each in self.models()}:
            raise PipelineError(f"no model {key}; accepted: the files of weights/, and the ids of runs")
        return load_classifier(str(paths.ROOT / key) if key.endswith(".h5") else key, self.tracker)


def app(tracker: Tracker, detector: str | None = None) -> ASGIApp:
    """Return the page's server; it answers only requests for this machine's own names, and of its own page."""
    backend = Backend(tracker, detector)
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @server.get("/")
    def index() -> HTMLResponse:
        policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": policy + "connect-src 'self'"})

    @server.get("/health")
    def health() -> None:
        """Answer, which is all that is asked."""

    @server.get("/models")
    def models() -> list[dict[str, str]]:
        return backend.models()

    @server.post("/picture")
    async def picture(request: Request, model: str, explain: bool = False) -> dict[str, Any]:
        return await run_in_threadpool(backend.picture, model, await request.body(), explain)

    @server.post("/camera")
    async def camera(request: Request, model: str, session: str) -> dict[str, Any]:
        return await run_in_threadpool(backend.camera, model, session, await request.body())

    @server.exception_handler(PipelineError)
    def refuse(request: Request, error: PipelineError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    return guard.guarded(server, MAX_BYTES, SECONDS)


def _decode(content: bytes) -> np.ndarray:
    return media.decode(io.BytesIO(content), "the picture", MAX_PIXELS)


def _shown(frame: np.ndarray, faces: list[Face]) -> tuple[np.ndarray, list[Face]]:
    """Return the frame as it is shown, with at most SHOWN pixels along a side, and the faces in it."""
    scale = SHOWN / max(frame.shape[:2])
    if scale >= 1:
        return frame, faces
    size = [max(1, round(scale * pixels)) for pixels in frame.shape[1::-1]]
    shown = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return shown, [face._replace(box=_scaled(face.box, scale)) for face in faces]


def _scaled(box: detection.Box, scale: float) -> detection.Box:
    x, y, side = (round(scale * pixels) for pixels in box[:3])
    return detection.Box(x, y, side, box.angle)


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
