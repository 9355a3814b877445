"""Serves a trained model with MLflow's model server: from pictures to predictions."""

import argparse
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline.core import paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options

_EXPECTED = {"loader_module": "pipeline.serve.served", "code": None, "streamable": False}
_ALLOWED = {"data", "env", "python_version"}


@command
def main(arguments: list[str]) -> None:
    """Serve a run, or a registered model, on 127.0.0.1; `python -m pipeline.serve models:/fer2013@champion`."""
    args = _parser().parse_args(arguments)
    from pipeline.tracking import finding

    tracker = options.open_tracker(args.tracking)
    model = paths.ROOT / "outputs" / "served" / str(args.port)
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        copy = finding.fetch(tracker, args.model, "model", Path(folder))
        check(copy)  # the copy that is served
        _check_free(args.port)  # else a running server would lose its folder, which is replaced next
        shutil.rmtree(model, ignore_errors=True)
        copy.rename(model)
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracker.uri,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])),
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(args.seconds),
    }
    server = ["mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local", "--host", "127.0.0.1"]
    server += ["--port", str(args.port), "--workers", str(args.workers), "--timeout", str(args.seconds)]
    print(f"POST pictures to http://127.0.0.1:{args.port}/invocations; Ctrl-C stops the server", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *server], environment)


def check(model: Path) -> None:
    """Raise PipelineError if the MLflow model in the folder `model` differs from those that tracker.log_model writes.

    MLflow would run the code of the module and of the pickled model that the file MLmodel names.
    """
    accepted = "accepted: a model that `python -m pipeline.train` has logged"
    try:
        flavors = yaml.safe_load((model / "MLmodel").read_text())["flavors"]
        flavor = flavors["python_function"]
        other = [f"{key}: {flavor[key]}" for key, expected in _EXPECTED.items() if flavor[key] != expected]
        other += sorted(map(str, {*flavors, *flavor} - {"python_function", *_EXPECTED, *_ALLOWED}))
        data = flavor.get("data")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise PipelineError(f"{model} is not an MLflow model of this project ({error}); {accepted}") from error
    if other:
        raise PipelineError(f"the model would run code of its own ({other[0]}); {accepted}")
    if not re.fullmatch(r"data/[\w-]+\.h5", str(data)):
        raise PipelineError(f"the model's data is {str(data)[:80]!r}; {accepted}")
    from pipeline.models import saved

    saved.load(model / data)


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
    parser.add_argument("--port", type=int, default=5001, help="by default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the model")
    parser.add_argument("--seconds", type=int, default=60, help="the time limit of a request")
    return parser


if __name__ == "__main__":
    main()
