"""`python -m pipeline.download`."""

from pipeline.core import paths, stage
from pipeline.core.command import command
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.download.stage import download


@command
def main(arguments: list[str]) -> None:
    """Download and verify the archive of the chosen dataset."""
    stage.start(run, arguments, "usage: python -m pipeline.download [OVERRIDE ...]")


def run(cfg: Config, _: RunContext) -> None:
    """Download and verify the archive, and print where it is."""
    path = download(cfg.data, paths.raw(cfg.data.name))
    images = sum(map(sum, cfg.data.counts.values()))
    print(f"{path}: {images:,} images, {path.stat().st_size / 1e6:.1f} MB, counted and decoded")


if __name__ == "__main__":
    main()
