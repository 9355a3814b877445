"""Serves a page on this machine: drop a picture on it, or use the browser's camera."""

import argparse

from pipeline.core import config, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError


@command
def main(arguments: list[str]) -> None:
    """Serve the page on 127.0.0.1, with the networks of weights/ and of MLflow's runs."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.show", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="%(default)s without it")
    parser.add_argument("--tracking", help="where runs are: an option of conf/tracking/; params.yaml's without it")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.port <= 65535:
        raise PipelineError(f"--port {asked.port}; accepted: 1 to 65535")
    cfg, _ = config.compose([f"tracking={asked.tracking}"] if asked.tracking else [])
    runtime.configure()
    import uvicorn

    from pipeline.show import web
    from pipeline.tracking.tracker import Tracker

    print(f"http://127.0.0.1:{asked.port} shows the page; Ctrl-C ends it", flush=True)
    uvicorn.run(web.app(Tracker(cfg.tracking)), host="127.0.0.1", port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
