"""Starts the MLflow UI on this project's runs."""

import argparse
import os
import sys

from pipeline.core import config
from pipeline.core.command import command


@command
def main(arguments: list[str]) -> None:
    """Serve the store of params.yaml; other options are passed to `mlflow ui`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.ui", description=main.__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1", help="%(default)s by default: only this machine")
    port = os.environ.get("MLFLOW_PORT") or 5000
    parser.add_argument("--port", "-p", type=int, default=port, help="%(default)s by default")
    options, others = parser.parse_known_args(arguments)
    cfg, _ = config.compose([])
    if cfg.tracking.uri and cfg.tracking.uri.startswith("http"):
        print("the runs are on a tracking server; its address is in conf/tracking/server.yaml")
        return
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(cfg.tracking)
    # Not on the command line, which other users of this machine can read: the address may have a password.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": tracker.uri}
    # Without this and `--workers 1`, MLflow 3.17 starts some ten processes; two are enough.
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    served = ["mlflow", "ui", "--workers", "1", "--host", options.host, "--port", str(options.port)]
    print(f"http://{options.host}:{options.port} shows the runs of {tracker.name}; Ctrl-C ends it", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *served, *others], environment)


if __name__ == "__main__":
    main()
