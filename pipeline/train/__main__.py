"""`python -m pipeline.train`: the stage, a single run with overrides, or with -m a Hydra multirun."""

from pipeline.core import paths, stage
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.train.stage import train

MULTIRUN = ("-m", "--multirun")


@command
def main(arguments: list[str]) -> None:
    """Write models/model.h5, results/run.json and results/history.csv, and one MLflow run."""
    flags = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if a not in flags]
    if set(flags) & set(MULTIRUN) and len(flags) > 1:
        raise PipelineError("a sweep is `python -m pipeline.train -m OVERRIDES`, without other flags")
    if set(flags) & set(MULTIRUN) or (overrides and not flags):
        from pipeline.sweep.sweep import sweep

        sweep(overrides)
    else:
        stage.start(run, arguments)


def run(cfg: Config, context: RunContext) -> None:
    """Train; a second process waits under DVC, and is refused otherwise."""
    with exclusive(context.out.lock("train"), "a training", wait=context.source != "manual"):
        record = train(cfg, context)
    if context.source == "manual":  # under DVC, evaluate discards it: DVC has not recorded this stage yet
        from pipeline.train.checkpoint import Checkpoint

        Checkpoint(paths.CHECKPOINTS / record["checkpoint"]).discard()


if __name__ == "__main__":
    main()
