"""Runs the project's commands in forks of one process that has imported TensorFlow, MLflow and DVC.

`running()` makes a folder with programs named python and dvc. First in PATH, they hand `python -m pipeline.NAME`,
`python -m pytest`, `python -c CODE` and `dvc` over to the fork server, with folder, environment, arguments and open
files (tests/forks/client.py). Each command is a process of its own that imports and runs the project's code anew. Only
the imports of packages are shared: 5 to 12 CPU seconds that each start would take. Any other command runs as ever.

The server imports nothing before its first command, and ends with the process that started it.
"""

import contextlib
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


@contextlib.contextmanager
def running() -> Iterator[Path]:
    """Start a fork server, and yield the folder of the programs that use it."""
    with tempfile.TemporaryDirectory(prefix="forks-") as folder:
        address, bin = Path(folder, "socket"), Path(folder, "bin")
        bin.mkdir()
        client = shlex.join([sys.executable, "-IS", str(HERE / "client.py"), sys.executable, str(address)])
        for name in ("python", "dvc"):
            (bin / name).write_text(f'#!/bin/sh\nexec {client} {name} "$@"\n')
            (bin / name).chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen()
            command = [sys.executable, str(HERE / "server.py"), str(listener.fileno())]
            server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], process_group=0)
        try:
            yield bin
        finally:
            server.communicate()  # closes its stdin, which ends it
