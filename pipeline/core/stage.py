"""The start of a stage: its configuration, and where its outputs go."""

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.core import config, paths
from pipeline.core.command import HELP
from pipeline.core.schema import Config


class RunContext(NamedTuple):
    """How a stage was started: the folder for its outputs, what started it, and the options it runs with.

    A job of a sweep also has a label (what differs from the other jobs), the sweep's name, the MLflow run of
    the sweep, and the number of threads it may use; None is one for each core.
    """

    out: paths.Outputs
    source: str
    choices: dict[str, str]
    label: str | None = None
    sweep: str | None = None
    parent: str | None = None
    threads: int | None = None


def start(main: Callable[[Config, RunContext], None], arguments: list[str], usage: str) -> None:
    """Compose and check the configuration that `arguments` give, and call `main` with it and the context.

    Without overrides the outputs go to the workspace, which belongs to params.yaml as it is; with overrides to a folder
    of their own. `--help` prints `usage` and the groups; Hydra's other flags (`--cfg job`) work.
    """

    def task(composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        out = paths.Outputs(Path(hydra_config.runtime.output_dir))
        main(config.check(composed), RunContext(out, "manual", config.chosen(hydra_config)))

    if set(arguments) & set(HELP):
        print(f"{usage}\n\nGroups, each with one option (GROUP=OPTION):\n{config.groups()}\n")
        print("Numbers: SECTION.KEY=VALUE; `--cfg job` prints them all, and `--hydra-help` Hydra's own flags.")
        return
    if any(argument.startswith("-") for argument in arguments):
        config.check_overrides(arguments)
        config.prepare()
        sys.argv = [f"python -m pipeline.{Path(sys.argv[0]).parent.name}", *arguments]
        hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")(task)()
        return
    cfg, choices = config.compose(arguments)
    own = paths.ROOT / "outputs" / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
    main(cfg, RunContext(paths.Outputs(own if arguments else paths.ROOT), _source(), choices))


def _source() -> str:
    if "DVC_EXP_NAME" in os.environ:
        return "dvc exp"
    return "dvc repro" if "DVC_STAGE" in os.environ else "manual"
