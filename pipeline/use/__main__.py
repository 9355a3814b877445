"""`python -m pipeline.use`."""

from pipeline.core import config, params
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError


@command
@usage("pipeline.use OVERRIDE [...]", config.groups)
def main(overrides: list[str]) -> None:
    """Write overrides to params.yaml, for the next `dvc repro`: `python -m pipeline.use experiment=best seed=1`.

    Numbers: SECTION.KEY=VALUE, of the keys that params.yaml has.
    """
    if not overrides:
        raise PipelineError("nothing is given; accepted: overrides such as experiment=best; --help lists them")
    changed = params.changes(overrides)
    params.write(changed)
    print("params.yaml: " + (", ".join(f"{key}={value}" for key, value in changed.items()) or "nothing to change"))


if __name__ == "__main__":
    main()
