"""Scores the recorded networks anew, and compares every number in results/, the MLflow run and the pages with that."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core import config, files, paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.readme import __main__ as readme
from pipeline.verify import tolerance
from pipeline.verify.check import Check


@command
def main(_: list[str]) -> None:
    """Print a line for each thing verified and an error for each value that differs; exit with 1 if there is one."""
    runtime.configure()
    cfg, _ = config.compose([])
    out = paths.Outputs()
    for path in (out.run, out.model, out.history, out.metrics, out.speed, out.predictions, out.audit):
        files.require_file(path)
    run = files.read_json(out.run)
    other = tolerance.changed(run)
    print(f"versions and hardware: {other or 'those of the recorded run, by their names'}")
    print(f"scores: the same to the last bit where this machine rounds as that one did, else {tolerance.STATED}")
    checks = []
    for check in _checks(cfg, out, run):
        checks.append(check)
        print(check.line())
        for wrong in check.wrong:
            print(f"error: {wrong}", file=sys.stderr)
    if wrong := sum(len(check.wrong) for check in checks):
        raise PipelineError(f"{wrong} of {sum(check.values for check in checks):,} values are not as recorded")


def _checks(cfg: Config, out: paths.Outputs, run: dict[str, Any]) -> Iterator[Check]:
    from pipeline.tracking.tracker import Tracker
    from pipeline.verify import cache, networks, record, retrained, scores, sums

    history, metrics, speed = files.read_csv(out.history), *map(files.read_json, (out.metrics, out.speed))
    yield _images(out, run)
    yield from scores.checks(cfg, run, metrics, len(history))
    yield record.history(run, history, speed)
    tracker = Tracker(cfg.tracking)
    if tracker.exists(run["mlflow_run_id"]):
        yield from record.stored(tracker, run, history, metrics, speed)
    else:
        print(f"MLflow, not verified: {tracker.name} has no run {run['mlflow_run_id']}")
    again = retrained.recorded_run(run, metrics)
    yield from [again] if again else []
    yield from networks.checks()
    trained = retrained.quickest()
    yield from [trained] if trained else []
    yield cache.check(paths.ROOT)
    yield from sums.checks()
    for page in readme.BLOCKS:
        check = _page(page)
        if check.wrong and page == paths.README and retrained.is_another(run):
            print("README.md, not verified: it shows the committed run; `make readme` writes this one into it")
        else:
            yield check


def _images(out: paths.Outputs, run: dict[str, Any]) -> Check:
    """Hold the arrays against the digest of the run and the findings of the audit."""
    from pipeline.data import arrays
    from pipeline.preprocess import audit

    folder = paths.arrays(run["data"]["name"])
    found = audit.audit(folder)
    check = Check(f"results/audit.json, data/arrays/{folder.name} read anew")
    check.compare(files.read_json(out.audit), found)
    check.compare({"digest": run["data"]["digest"]}, {"digest": arrays.digest(folder)})
    return check


def _page(page: Path) -> Check:
    """Hold a page's lines against what would be written into it."""
    check = Check(f"{page.relative_to(paths.ROOT)}, written anew")
    old, new = (text.splitlines() for text in (page.read_text(), readme.filled(page, readme.results())))
    lines = range(max(len(old), len(new)))
    numbered = [{f"line {i + 1}": text[i] for i in lines if i < len(text)} for text in (old, new)]
    check.compare(*numbered)
    return check


if __name__ == "__main__":
    main()
