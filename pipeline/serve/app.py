"""The service: it answers as MLflow's scoring server does, within limits.

MLflow's own server has none: it reads a list of strings as an array whose items all have the size of the longest.
"""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from pipeline.core import runtime
from pipeline.core.errors import PipelineError
from pipeline.web import guard

MODEL, DETECTOR, SECONDS = (f"PIPELINE_SERVED_{name}" for name in ("MODEL", "DETECTOR", "SECONDS"))
"""Environment variables of the workers: the .h5 file, the detector, and the time limit of a request."""
MAX_BYTES = 20_000_000
"""Bytes of the largest body: a picture of 15 MB in base64."""


def create() -> ASGIApp:
    """Return the service of the model that MODEL names."""
    runtime.load_tensorflow()
    from pipeline.serve import bodies
    from pipeline.serve.served import ServedModel

    model = ServedModel(Path(os.environ[MODEL]), os.environ[DETECTOR] or None)
    service = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @service.get("/health")
    @service.get("/ping")
    def health() -> Response:
        return Response("\n", media_type="application/json")

    @service.post("/invocations")
    async def invocations(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in bodies.KINDS:
            return _refuse(415, f"the content type is {kind!r}; accepted: {', '.join(bodies.KINDS)}")
        content = await request.body()

        def rows() -> list[dict[str, Any]]:
            pictures, options = bodies.read(content, kind)
            return model.rows(pictures, **options)

        return JSONResponse({"predictions": await run_in_threadpool(rows)})

    @service.exception_handler(PipelineError)
    def refuse(request: Request, error: PipelineError) -> Response:
        return _refuse(400, str(error))

    return guard.guarded(service, MAX_BYTES, float(os.environ[SECONDS]))


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error_code": "BAD_REQUEST", "message": reason}, status)
