"""Serves a trained model as MLflow's scoring server does: from pictures to predictions."""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from pipeline.core import paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Serve a model on 127.0.0.1: `python -m pipeline.serve weights/best.h5`."""
    args = _parser().parse_args(arguments)
    runtime.load_tensorflow()
    from pipeline.faces import detection
    from pipeline.models import saved
    from pipeline.serve import app
    from pipeline.tracking import finding
    from pipeline.web import server

    detection.load(args.detector)  # an error of it is reported here, and YuNet is in the cache when the server needs it
    model = paths.ROOT / "outputs" / "served" / f"{args.port}.h5"
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        # The .h5 file alone, which has no code: MLflow would run the code that a model in the store brings.
        if args.model.endswith(".h5"):
            if not Path(args.model).is_file():
                raise PipelineError(
                    f"{args.model} is missing; accepted: an .h5 file, an MLflow run's id, models:/NAME@ALIAS"
                )
            file = Path(shutil.copy(args.model, folder))
        else:
            file = finding.fetch(options.open_tracker(args.tracking), args.model, "model.h5", Path(folder))
        saved.info(file, saved.load(file).output_shape[-1])  # or an error here, and not at the first request
        server.check_free(args.port)  # else a running server would lose its file, which is replaced next
        os.replace(file, model)
    os.environ |= {app.MODEL: str(model), app.SECONDS: str(args.seconds), app.DETECTOR: args.detector or ""}
    message = f"ready: POST pictures to http://127.0.0.1:{args.port}/invocations; Ctrl-C stops the server"
    server.run("pipeline.serve.app:create", args.port, message, args.seconds, args.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.serve", description=main.__doc__)
    parser.add_argument(
        "model", metavar="MODEL", help="an .h5 file, an MLflow run's id, models:/NAME@ALIAS, models:/NAME/VERSION"
    )
    options.add_tracking(parser)
    options.add_detector(parser)
    parser.add_argument("--port", type=int, default=5001, help="by default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the model")
    parser.add_argument("--seconds", type=int, default=60, help="the time limit of a request; by default %(default)s")
    return parser


if __name__ == "__main__":
    main()
