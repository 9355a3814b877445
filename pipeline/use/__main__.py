"""`python -m pipeline.use`."""

from pipeline.core import params
from pipeline.core.command import command, usage


@command
@usage("pipeline.use OVERRIDE [...]")
def main(overrides: list[str]) -> None:
    """Write `overrides` to params.yaml: `python -m pipeline.use experiment=demo seed=1`."""
    changed = params.changes(overrides)
    params.write(changed)
    print("params.yaml: " + (", ".join(f"{key}={value}" for key, value in changed.items()) or "nothing to change"))


if __name__ == "__main__":
    main()
