"""The fork server: forks for each request that tests/forks/client.py sends, and runs the command in the fork."""

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import traceback
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = """
    tensorflow keras pandas scipy.stats cv2 pydantic hydra jinja2 filelock kagglehub optuna git
    mlflow.pyfunc mlflow.data.numpy_dataset mlflow.system_metrics.system_metrics_monitor mlflow.tracing.processor.otel
    mlflow.store.tracking.sqlalchemy_store mlflow.store.model_registry.sqlalchemy_store
    sqlalchemy.dialects.sqlite alembic.command matplotlib.pyplot matplotlib.backends.backend_agg matplotlib.style.core
    dvc.cli.parser dvc.repo dvc.repo.reproduce dvc.repo.experiments dvc.repo.metrics.show
"""


def serve(listener: socket.socket) -> tuple[list[str], int, str, dict[str, str]] | None:
    """Fork for each request, and return in the fork what it holds; return None when stdin is closed."""
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        prepare()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # so that their CPU seconds are counted
                pass
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                listener.close()
                size, streams, _, _ = socket.recv_fds(connection, 4, 3)
                with connection.makefile("rb") as file:
                    request = marshal.loads(file.read(int.from_bytes(size)))
                if (pid := os.fork()) == 0:
                    for number, stream in enumerate(streams):
                        os.dup2(stream, number)
                        os.close(stream)
                    return request
                wait(pid, connection)
    return None


def wait(pid: int, connection: socket.socket) -> None:
    """Send the exit code of the process `pid`, and end; kill it if the client, at the other end, ends before it."""
    process = os.pidfd_open(pid)
    if process not in select.select([process, connection], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(code.to_bytes(4, signed=True))
    os._exit(0)


@functools.cache
def prepare() -> None:
    """Import PACKAGES, once, under the settings that the project makes before it imports TensorFlow.

    No module of the project stays.
    """
    sys.path[0] = str(ROOT)
    importlib.import_module("pipeline.core.runtime").configure()
    for name in PACKAGES.split():
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        del sys.modules[name]
    gc.freeze()


def join(client: int) -> None:
    """Enter the group of the process `client`, and what may be mounted for it alone (`unshare -rm`)."""
    with contextlib.suppress(OSError):  # a group of another session
        os.setpgid(0, os.getpgid(client))
    for kind in ("user", "mnt"):
        own, theirs = Path(f"/proc/self/ns/{kind}"), Path(f"/proc/{client}/ns/{kind}")
        if not own.samefile(theirs):
            with open(theirs) as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):  # os.setns, from Python 3.12 on
                    raise OSError(ctypes.get_errno(), f"cannot enter {theirs}")


def execute(arguments: list[str], client: int, folder: str, environment: dict[str, str]) -> None:
    """Be `python -m`, `python -c` or `dvc` with `arguments`, the first of which is the program's name."""
    import numpy as np

    join(client)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    # Streams of the files that are open now: Python has found out whether those of the server could be sought.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    np.random.seed()  # otherwise each fork would draw the same numbers; Python's own generator sees to itself
    match arguments:
        case ["python", "-m", name, *rest]:
            sys.argv = [name, *rest]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case ["python", "-c", code, *rest]:
            sys.argv = ["-c", *rest]
            sys.modules["__main__"] = main = types.ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), main.__dict__)
        case ["dvc", *rest]:
            from dvc.cli import main as dvc

            sys.argv = arguments
            sys.exit(dvc(rest))


def code_of(request: tuple[list[str], int, str, dict[str, str]]) -> int:
    """Execute the request, and return the exit code; print what ended it, as Python does."""
    try:
        execute(*request)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serve; in a fork, execute a request."""
    code = 0

    @atexit.register  # the first of all, and so the last to be called
    def end() -> None:
        """End without the seconds in which Python takes its modules apart."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    with socket.socket(fileno=int(sys.argv[1])) as listener:
        request = serve(listener)
    if request:
        code = code_of(request)


if __name__ == "__main__":
    main()
