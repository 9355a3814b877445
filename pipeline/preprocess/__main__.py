"""`python -m pipeline.preprocess`."""

from pipeline.core import stage
from pipeline.core.command import command
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.preprocess.stage import preprocess


@command
def main(arguments: list[str]) -> None:
    """Decode the archive of the chosen dataset into arrays, and audit them."""
    stage.start(run, arguments, "usage: python -m pipeline.preprocess [OVERRIDE ...]")


def run(cfg: Config, context: RunContext) -> None:
    """Write the arrays, and into results/ audit.json and the figures of the dataset."""
    preprocess(cfg.data, context.out)


if __name__ == "__main__":
    main()
