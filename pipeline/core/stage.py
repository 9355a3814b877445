"""Starts a stage from the command line: its configuration, where its outputs go, and how its errors are shown."""

import errno
import functools
import importlib
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from pipeline.core import config, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors of a disk, which the system tells without a name."""


class Job(NamedTuple):
    """How a stage was started: the folder its outputs go to, by which way, and the options it runs with.

    A job of a sweep also has a label (what it differs in from the others), the sweep's name, the MLflow run of
    the sweep, and the number of threads that it may use; None is one for each core.
    """

    out: paths.Outputs
    source: str
    choices: dict[str, str]
    label: str | None = None
    sweep: str | None = None
    parent: str | None = None
    threads: int | None = None


def stage(main: Callable[[Config, Job], None]) -> Callable[[], None]:
    """Make `main` a command: compose and check the configuration, then call it with that and the job.

    Without overrides the outputs go to the workspace, which belongs to params.yaml as it stands; with any, to
    a folder of their own: a training is then a sweep of one job. `-m` sweeps (pipeline/sweeps/sweep.py), and Hydra's
    other flags (`--cfg job`, `--help`) work.
    """
    name = Path(main.__code__.co_filename).stem

    def task(composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        out = paths.Outputs(Path(hydra_config.runtime.output_dir))
        main(config.check(composed), Job(out, "manual", config.chosen(hydra_config)))

    @functools.wraps(main)
    def start(arguments: list[str]) -> None:
        flags = {argument for argument in arguments if argument.startswith("-")}
        if flags & {"-m", "--multirun"}:
            if name != "train" or len(flags) > 1:
                raise PipelineError(f"a sweep is `python -m pipeline.train -m OVERRIDES`, not {' '.join(sys.argv)}")
            _sweep([a for a in arguments if a not in flags])
        elif flags:
            config.prepare()
            hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")(task)()
        else:
            cfg, choices = config.compose(arguments)
            if name == "train" and arguments:
                _sweep(arguments)
                return
            own = paths.ROOT / "outputs" / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
            main(cfg, Job(paths.Outputs(own if arguments else paths.ROOT), _source(), choices))

    return command(start)


def command(start: Callable[[list[str]], None]) -> Callable[[], None]:
    """Make `start`, which takes the command line's arguments, a command.

    A mistake of the user ends with a line or two on stderr and exit code 1; Ctrl-C with 130.
    """

    @functools.wraps(start)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing a traceback
        sys.stdout.reconfigure(line_buffering=True)
        try:
            start(sys.argv[1:])
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            if (message := _explain(error)) is None:
                raise
            sys.exit(message)

    return run


def _sweep(arguments: list[str]) -> None:
    # Not a dependency of the stage: DVC never sweeps.
    importlib.import_module("pipeline.sweeps.sweep").sweep(arguments)


def _source() -> str:
    if "DVC_EXP_NAME" in os.environ:
        return "dvc exp"
    return "dvc repro" if "DVC_STAGE" in os.environ else "manual"


def _explain(error: BaseException) -> str | None:
    """Return the lines a user is shown for `error`, or None where it is a fault of this program."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PipelineError):
            return f"error: {cause}"
        if isinstance(cause, yaml.YAMLError):
            return "error: " + " ".join(str(cause).split())
        cause = cause.__cause__
    if isinstance(error, HydraException | OmegaConfBaseException):
        text = str(error) or str(error.__cause__)
        return "error: " + " ".join(text.split("Config search path")[0].split())
    if isinstance(error, OSError) and (error.filename or error.errno in _DISK):
        return f"error: {error.filename or 'a file'}: {error.strerror}"
    return None
