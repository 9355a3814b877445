"""Scores the committed models again with the current code, and compares with results/."""

import sys

from pipeline.core import paths, runtime
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError


@command
@usage("pipeline.verify")
def main(_: list[str]) -> None:
    """Print a line for each model, and an error for each value that differs by more than rounding; then exit with 1."""
    records, weights = paths.experiment("*"), paths.weights("*")
    names = {path.stem for each in (records, weights) for path in each.parent.glob(each.name)}
    models = [(paths.weights(name), paths.experiment(name)) for name in sorted(names)]
    if (out := paths.Outputs()).model.is_file():
        models.append((out.model, out.details))
    if not models:
        raise PipelineError(f"{paths.ROOT} has no trained model in weights/ or models/; `dvc repro` trains one")
    runtime.load_tensorflow()
    from pipeline.verify.rescore import differences

    wrong = 0
    for model, record in models:
        missing = [f"{path} is missing; `git checkout` restores it" for path in (model, record) if not path.is_file()]
        for line in (lines := missing or differences(model, record)):
            print(f"error: {line}", file=sys.stderr)
        wrong += len(lines)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
