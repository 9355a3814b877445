"""Starts the MLflow UI on this project's runs."""

import argparse
import os
import sys
import webbrowser

from pipeline.core import config
from pipeline.core.command import command
from pipeline.tracking import view
from pipeline.web import ready, server


@command
def main(arguments: list[str]) -> None:
    """Serve the store of params.yaml; other options are passed to `mlflow ui`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.ui", description=main.__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1", help="%(default)s by default: only this machine")
    port = os.environ.get("MLFLOW_PORT") or 5000
    parser.add_argument("--port", "-p", type=int, default=port, help="%(default)s by default")
    options, others = parser.parse_known_args(arguments)
    server.check_free(options.port)
    cfg, _ = config.compose([])
    from pipeline.tracking import finding
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(cfg.tracking)
    experiment = finding.experiment(tracker)
    if tracker.uri.startswith("http"):
        print(view.address(tracker.name, experiment))
        return
    # Not on the command line, which other users of this machine can read: the address may have a password.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": tracker.uri}
    # Without this and `--workers 1`, MLflow 3.17 starts some ten processes; two are enough.
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    environment.setdefault("PYTHONWARNINGS", "ignore")  # MLflow's own, of packages that it uses
    served = ["mlflow", "ui", "--workers", "1", "--host", options.host, "--port", str(options.port)]
    served += ["--uvicorn-opts", "--log-level warning", *others]
    print(f"starting MLflow's UI of the runs in {tracker.name}; Ctrl-C ends it", flush=True)
    serving = os.getpid()
    if os.fork():  # this process becomes the server, so that signals reach it; the other one ends when it has printed
        os.execve(sys.executable, [sys.executable, "-m", *served], environment)
    if ready.answers(base := f"http://{options.host}:{options.port}", lambda: os.getppid() == serving):
        address = view.address(base, experiment)
        print(f"\n{address}", flush=True)
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(address)


if __name__ == "__main__":
    main()
