"""`python -m pipeline.train`: the stage train, a single run (with overrides) or a sweep (with -m)."""

from pipeline.core import config, paths, stage
from pipeline.core.command import command
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import MULTIRUN, RunContext
from pipeline.train.stage import train

USAGE = """\
usage: python -m pipeline.train                          train as params.yaml says, into models/ and results/
       python -m pipeline.train OVERRIDE [...]           train once with overrides, into a new folder below outputs/
       python -m pipeline.train -m OVERRIDE=A,B [...]    a sweep: train every combination, below multirun/;
                                                         sweep=NAME names it, --cfg job prints its configurations"""


@command
def main(arguments: list[str]) -> None:
    """Train as params.yaml says, once with overrides, or every combination of a sweep."""
    flags = {argument.partition("=")[0] for argument in arguments if argument.startswith("-")}
    overrides = [argument for argument in config.without_plus(arguments) if not argument.startswith("-")]
    multirun, others = flags & set(MULTIRUN), flags - set(MULTIRUN)
    if not others and (multirun or overrides):
        from pipeline.sweep.sweep import single, sweep

        sweep(overrides) if multirun else single(overrides)
    elif multirun and others <= {"--cfg", "-c", "--resolve"}:
        from pipeline.sweep.plan import show

        show([override for override in overrides if "=" in override])  # without `job`, the value of --cfg
    else:
        stage.start(run, arguments, USAGE)


def run(cfg: Config, context: RunContext) -> None:
    """Train; while another process trains here, wait under DVC, and raise PipelineError otherwise."""
    with exclusive(context.out.lock("train"), "a training", wait=context.source != "manual"):
        for earlier in (context.out.metrics, context.out.speed):  # DVC would show them beside the new settings
            earlier.unlink(missing_ok=True)
        record = train(cfg, context)
    if context.source == "manual":  # under DVC, evaluate discards it, because DVC has not recorded this stage yet
        from pipeline.train.checkpoint import Checkpoint

        Checkpoint(paths.CHECKPOINTS / record.checkpoint).discard()


if __name__ == "__main__":
    main()
