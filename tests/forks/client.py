"""The program that stands for `python` and `dvc` in front of tests/forks/server.py."""

import marshal
import os
import socket
import sys


def main(python: str, address: str, *command: str) -> None:
    """Have the server at `address` run `command`, and end as that ends; what is not the project's goes to `python`."""
    match command:
        case ("dvc", *_) | ("python", "-c", *_):
            pass
        case ("python", "-m", name, *_) if name.partition(".")[0] in ("pipeline", "pytest"):
            pass
        case _:
            os.execv(python, [python, *command[1:]])
    request = marshal.dumps((list(command), os.getpid(), os.getcwd(), dict(os.environ)))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [len(request).to_bytes(4)], [0, 1, 2])
        connection.sendall(request)
        code = int.from_bytes(connection.recv(4), signed=True)
    if code < 0:  # a signal
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
