"""Serves a web page on this machine: drop a picture on it, or use the browser's camera."""

import argparse

from pipeline.core import runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options


@command
def main(arguments: list[str]) -> None:
    """Serve the web page on 127.0.0.1, with the models of weights/ and of MLflow's runs."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.show", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="by default %(default)s")
    options.add_tracking(parser)
    options.add_detector(parser)
    args = parser.parse_args(arguments)
    if not 1 <= args.port <= 65535:
        raise PipelineError(f"--port {args.port}; accepted: 1 to 65535")
    runtime.load_tensorflow()
    import uvicorn

    from pipeline.show import web

    app = web.app(options.open_tracker(args.tracking), args.detector)
    print(f"http://127.0.0.1:{args.port} shows the page; Ctrl-C stops the server", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
