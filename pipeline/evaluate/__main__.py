"""`python -m pipeline.evaluate`."""

from pipeline.core import stage
from pipeline.core.command import command
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.evaluate.stage import evaluate


@command
def main(arguments: list[str]) -> None:
    """Write the metrics, figures and report into results/, and add them to the training's MLflow run."""
    stage.start(run, arguments, "usage: python -m pipeline.evaluate [OVERRIDE ...]")


def run(cfg: Config, context: RunContext) -> None:
    """Evaluate; a second process waits under DVC, and is refused otherwise."""
    with exclusive(context.out.lock("evaluate"), "an evaluation", wait=context.source != "manual"):
        evaluate(cfg, context)


if __name__ == "__main__":
    main()
