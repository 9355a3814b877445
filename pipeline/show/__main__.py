"""Serves a web page on this machine: drop a picture on it, or use the browser's camera."""

import argparse

from pipeline.core import runtime
from pipeline.core.command import command
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Serve the web page on 127.0.0.1, with the models of weights/ and of MLflow's runs."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.show", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="by default %(default)s")
    options.add_tracking(parser)
    options.add_detector(parser)
    args = parser.parse_args(arguments)
    runtime.load_tensorflow()
    from pipeline.show import web
    from pipeline.web import server

    server.check_free(args.port)
    tracker = options.open_tracker(args.tracking)
    message = f"http://127.0.0.1:{args.port} shows the page; Ctrl-C stops the server"
    server.run(lambda: web.app(tracker, args.detector), args.port, message, web.SECONDS)


if __name__ == "__main__":
    main()
