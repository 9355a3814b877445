"""Serves a trained model with MLflow's model server: from pictures to predictions."""

import argparse
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from pipeline.core import paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Serve a run, or a registered model, on 127.0.0.1; `python -m pipeline.serve models:/fer2013@champion`."""
    args = _parser().parse_args(arguments)
    runtime.load_tensorflow()
    from pipeline.faces import detection
    from pipeline.models import saved
    from pipeline.tracking import finding, models

    detection.load(args.detector)  # an error of it is reported here, and YuNet is in the cache when the server needs it
    tracker = options.open_tracker(args.tracking)
    model = paths.ROOT / "outputs" / "served" / str(args.port)
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        # The .h5 file alone, which has no code: MLflow would run the code that a model in the store brings.
        file = finding.fetch(tracker, args.model, "model.h5", Path(folder))
        info = saved.info(file, saved.load(file).output_shape[-1])
        models.write(Path(folder, "model"), file, info.classes, detector=args.detector)
        _check_free(args.port)  # else a running server would lose its folder, which is replaced next
        shutil.rmtree(model, ignore_errors=True)
        Path(folder, "model").rename(model)
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracker.uri,
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(args.seconds),
    }
    server = ["mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local", "--host", "127.0.0.1"]
    server += ["--port", str(args.port), "--workers", str(args.workers), "--timeout", str(args.seconds)]
    print(f"POST pictures to http://127.0.0.1:{args.port}/invocations; Ctrl-C stops the server", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *server], environment)


def _check_free(port: int) -> None:
    """Raise PipelineError if no server can listen on `port` of this machine."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        raise PipelineError(f"port {port} cannot be used ({error}); accepted: --port with a free one") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.serve", description=main.__doc__)
    parser.add_argument("model", metavar="MODEL", help="an MLflow run's id, models:/NAME@ALIAS, models:/NAME/VERSION")
    options.add_tracking(parser)
    options.add_detector(parser)
    parser.add_argument("--port", type=int, default=5001, help="by default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the model")
    parser.add_argument("--seconds", type=int, default=60, help="the time limit of a request")
    return parser


if __name__ == "__main__":
    main()
