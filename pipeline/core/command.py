"""Runs a command: passes it the arguments, and prints a user's mistake without a traceback."""

import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from pipeline.core.errors import PipelineError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Disk errors, which the system reports without a file name."""


HELP = ("-h", "--help")


def command(start: Callable[[list[str]], None]) -> Callable[[], None]:
    """Return `start`, which takes the arguments of the command line, as a command.

    `--help` prints what `usage` sets and the docstring of `start`; without `usage`, `start` handles `--help`.
    A user's mistake prints a line or two on stderr and exits with code 1; Ctrl-C exits with 130.
    """

    @functools.wraps(start)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing a traceback
        os.environ["MPLBACKEND"] = "agg"  # a notebook's cells inherit a backend that is not installed here
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        try:
            if set(sys.argv[1:]) & set(HELP) and (text := getattr(start, "usage", None)):
                choices = start.choices()  # type: ignore[attr-defined]
                print(f"usage: python -m {text}\n\n{inspect.getdoc(start)}\n\n{choices}".rstrip())
            else:
                start(sys.argv[1:])
        except BrokenPipeError:  # the reader of the output, such as head, has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            if (message := _explain(error)) is None:
                raise
            sys.exit(message)

    return run


def usage(
    text: str, choices: Callable[[], str] = str
) -> Callable[[Callable[[list[str]], None]], Callable[[list[str]], None]]:
    """Return a decorator that sets, for `--help`, the usage of a command without an argument parser.

    `choices` returns what can be chosen, and is called only then.
    """

    def decorate(start: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
        start.usage, start.choices = text, choices  # type: ignore[attr-defined]
        return start

    return decorate


def _explain(error: BaseException) -> str | None:
    """Return the message for the user, or None if `error` is a bug in this program."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PipelineError):
            return f"error: {cause}"
        if isinstance(cause, yaml.YAMLError):
            return "error: " + " ".join(str(cause).split())
        cause = cause.__cause__
    if isinstance(error, OverrideParseException):  # without the value, which may be a password
        key = error.override.partition("=")[0]
        return f"error: {key!r} has no value that can be read; accepted: KEY=VALUE, or KEY=A,B without blanks"
    if isinstance(error, HydraException | OmegaConfBaseException):
        text = str(error) or str(error.__cause__)
        return "error: " + " ".join(text.split("Config search path")[0].split())
    if isinstance(error, OSError) and (error.filename or error.errno in _DISK):
        return f"error: {error.filename or 'a file'}: {error.strerror}"
    return None
