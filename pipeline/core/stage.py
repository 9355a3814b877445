"""Starts a stage: composes its configuration, and chooses the folder of its outputs."""

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
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config

MULTIRUN = ("-m", "--multirun")
PRINTED = ("--cfg", "-c")
FLAGS = (
    *(*PRINTED, "--resolve", "--package", "-p", "--info", "-i", "--run", "-r", "--shell-completion", "-sc"),
    *("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--version", "--hydra-help"),
)
"""Hydra's flags. Its parser would take any beginning of one, such as --experiment, for the whole."""
COMPLETION = """\
_complete_NAME() {
    [ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" = "-m pipeline.NAME" ] || return
    local found=$(COMP_LINE="app ${COMP_LINE#*pipeline.NAME}" python -m pipeline.NAME -sc query=bash)
    COMPREPLY=($(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _complete_NAME python"""
"""Bash completion of `python -m pipeline.NAME`: Hydra's own completes files and installed programs only."""


class RunContext(NamedTuple):
    """The context of a run: the folder of its outputs, what started it, and the chosen option of each group.

    A job of a sweep also has a label (the overrides by which it differs from other jobs), the sweep's name, the MLflow
    run of the sweep, and the number of threads it may use; None is one per core.
    """

    out: paths.Outputs
    source: str
    choices: dict[str, str]
    label: str | None = None
    sweep: str | None = None
    parent: str | None = None
    threads: int | None = None


def start(main: Callable[[Config, RunContext], None], arguments: list[str], usage: str) -> None:
    """Compose and validate the configuration of `arguments`, and call `main` with it and the context.

    Without overrides, the outputs are in the workspace, which always matches params.yaml. With overrides, they are in a
    new folder. `--help` prints `usage` and the groups; Hydra's other flags (`--cfg job`) work.
    """

    def task(composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        out = paths.Outputs(Path(hydra_config.runtime.output_dir))
        main(config.check(composed), RunContext(out, "manual", config.chosen(hydra_config)))

    if set(arguments) & set(HELP):
        print(f"{usage}\n\n{config.groups()}\n")
        print("Numbers: SECTION.KEY=VALUE; `--cfg job` prints them all, and `--hydra-help` Hydra's own flags.")
        return
    if set(arguments) & set(MULTIRUN):
        raise PipelineError("a sweep is `python -m pipeline.train -m OVERRIDES`, without other flags")
    if "--experimental-rerun" in arguments:
        raise PipelineError("--experimental-rerun has no effect: runs are repeated by `git checkout` and `dvc repro`")
    name = Path(sys.argv[0]).parent.name
    if "install=bash" in arguments:
        print(COMPLETION.replace("NAME", name))
        return
    arguments = config.without_plus(arguments)
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    if unknown := set(flags) - set(FLAGS):
        raise PipelineError(
            f"unknown option {min(unknown)}; accepted: overrides without dashes, such as experiment=best, and Hydra's "
            f"{', '.join(flag for flag in FLAGS if flag.startswith('--'))}"
        )
    if flags:
        config.check_overrides(arguments)
        if set(flags) & set(PRINTED) and "--config-name" not in flags:
            overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
            config.compose(overrides)  # what is printed is what a run accepts
            arguments = [*overrides, *(argument for argument in arguments if argument not in overrides)]
        config.prepare()
        sys.argv = [f"python -m pipeline.{name}", *arguments]
        hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")(task)()
        return
    cfg, choices = config.compose(arguments)
    new = paths.ROOT / "outputs" / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
    main(cfg, RunContext(paths.Outputs(new if arguments else paths.ROOT), _source(), choices))


def _source() -> str:
    if "DVC_EXP_NAME" in os.environ:
        return "dvc exp"
    return "dvc repro" if "DVC_STAGE" in os.environ else "manual"
