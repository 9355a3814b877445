"""Serves a trained network with MLflow's own model server: pictures in, named probabilities out."""

import argparse
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline.core import config, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError

_OURS = {"loader_module": "pipeline.serve.served", "code": None, "streamable": False}
_MORE = {"data", "env", "python_version"}


@command
def main(arguments: list[str]) -> None:
    """Serve a run, or a registered model, on 127.0.0.1; `python -m pipeline.serve models:/fer2013@champion`."""
    asked = _parser().parse_args(arguments)
    cfg, _ = config.compose([f"tracking={asked.tracking}"] if asked.tracking else [])
    from pipeline.tracking import finding
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(cfg.tracking)
    model = paths.ROOT / "outputs" / "served" / str(asked.port)
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        copy = finding.fetch(tracker, asked.model, "model", Path(folder))  # what is checked is what is served
        check(copy)
        _check_free(asked.port)  # or a server is running, from the folder that is replaced now
        shutil.rmtree(model, ignore_errors=True)
        copy.rename(model)
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracker.uri,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])),
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(asked.seconds),
    }
    served = ["mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local", "--host", "127.0.0.1"]
    served += ["--port", str(asked.port), "--workers", str(asked.workers), "--timeout", str(asked.seconds)]
    print(f"POST pictures to http://127.0.0.1:{asked.port}/invocations; Ctrl-C ends it", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *served], environment)


def check(model: Path) -> None:
    """Raise PipelineError where the MLflow model in the folder `model` is not as tracker.log_model writes it.

    MLflow imports the module that the file MLmodel names, and unpickles what it calls a model: code of its own.
    """
    accepted = "accepted: a model that `python -m pipeline.train` has logged"
    try:
        flavors = yaml.safe_load((model / "MLmodel").read_text())["flavors"]
        says = flavors["python_function"]
        other = [f"{key}: {says[key]}" for key, ours in _OURS.items() if says[key] != ours]
        other += sorted(map(str, {*flavors, *says} - {"python_function", *_OURS, *_MORE}))
        data = says.get("data")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise PipelineError(f"{model} holds no MLflow model of this project's ({error}); {accepted}") from error
    if other:
        raise PipelineError(f"the model would be answered for by code of its own ({other[0]}); {accepted}")
    if not re.fullmatch(r"data/[\w-]+\.h5", str(data)):
        raise PipelineError(f"the model's data are {str(data)[:80]!r}; {accepted}")
    from pipeline.models import saved

    saved.load(model / data)


def _check_free(port: int) -> None:
    """Raise PipelineError where a server cannot listen on `port` of this machine."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: connections may linger
        try:
            tried.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise PipelineError(f"port {port} cannot be used ({error}); accepted: --port with a free one") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.serve", description=main.__doc__)
    parser.add_argument("model", metavar="MODEL", help="an MLflow run's id, models:/NAME@ALIAS, models:/NAME/VERSION")
    parser.add_argument("--tracking", help="where runs are: an option of conf/tracking/; params.yaml's without it")
    parser.add_argument("--port", type=int, default=5001, help="%(default)s without it")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the network")
    parser.add_argument("--seconds", type=int, default=60, help="after which a request is given up")
    return parser


if __name__ == "__main__":
    main()
