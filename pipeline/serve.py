"""Serves a trained network with MLflow's own model server: pictures in, named probabilities out."""

import argparse
import os
import sys

from pipeline.core import config, paths
from pipeline.core.stage import command


@command
def main(arguments: list[str]) -> None:
    """Serve a run, or a registered model, on 127.0.0.1; `python -m pipeline.serve models:/fer2013@champion`."""
    asked = _parser().parse_args(arguments)
    cfg, _ = config.compose([f"tracking={asked.tracking}"] if asked.tracking else [])
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(cfg.tracking)
    address = f"runs:/{tracker.training(asked.model)}/model"
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracker.uri,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])),
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(asked.seconds),
    }
    served = ["mlflow", "models", "serve", "--model-uri", address, "--env-manager", "local", "--host", "127.0.0.1"]
    served += ["--port", str(asked.port), "--workers", str(asked.workers), "--timeout", str(asked.seconds)]
    print(f"POST pictures to http://127.0.0.1:{asked.port}/invocations; Ctrl-C ends it", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *served], environment)


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
