"""Searches hyperparameters: Optuna chooses each trial from the results of earlier trials, and stops poor ones early.

A search is identified by its file in conf/search/ and by everything that decides its trainings. The same command
resumes it in the same folder, also after a kill. In another terminal, or on another machine that shares the folder, it
runs trials of the same search in parallel.
"""

import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import config, files, params, paths, provenance, runtime
from pipeline.core.command import command, usage
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.search import space
from pipeline.search.study import Study
from pipeline.sweep import ranking, secrets
from pipeline.sweep.jobs import label, parent_run, prepare, read_result, run_job
from pipeline.tracking import registry
from pipeline.tracking.tracker import Stopped, Tracker
from pipeline.train.source import pin, pinned

if TYPE_CHECKING:
    from optuna import Trial

FAILURES = 5
"""The search ends after this many failed trials in a row: the hyperparameters are not the cause then."""


@command
@usage("pipeline.search NAME [trials=N] [OVERRIDE ...]", space.names)
def main(arguments: list[str]) -> None:
    """Run the trials of a search: `python -m pipeline.search seed_cnn trials=40 model=linear`."""
    name = " ".join(a for a in arguments if "=" not in a)
    trials = [a for a in arguments if a.startswith("trials=")]
    overrides = [a for a in arguments if "=" in a and a not in trials]
    secrets.refuse(overrides)
    search(name, space.load(name, trials, overrides))


def search(name: str, settings: space.Search) -> None:
    """Run `settings.trials` trials, including earlier ones of this search; print and log the table.

    Raises PipelineError if a corner of the space is not valid (before any work), or if FAILURES trials in a row fail.
    """
    corners = space.corners(name, settings)
    cfg = corners[0]
    digest = prepare(cfg.data)
    folder = paths.HOME / "multirun" / f"search-{name}-{_key(settings, corners, digest)}"
    study = Study(folder, settings)
    runtime.configure()
    tracker = Tracker(cfg.tracking)
    with study.lock:
        command = secrets.shown("pipeline.search", sys.argv[1:])
        tags = {"source": "search", "sweep": folder.name, "data": cfg.data.name, "command": command}
        parent = parent_run(tracker, folder / "search.json", f"search {name}", tags)
    print(f"{settings.trials} trials in {folder}")
    with tracker.active(parent), study.alive:
        try:
            _run(study, settings, folder, parent)
        except KeyboardInterrupt:
            print("the same command resumes this search", file=sys.stderr)
            raise
        with study.lock:
            _conclude(study, settings, folder, tracker, parent)


def _key(settings: space.Search, corners: list[Config], digest: str) -> str:
    """Return the fingerprint of everything that decides the results; `digest` is that of the images."""
    configurations = [pin(corner).model_dump(exclude={"tracking", "evaluate"}) for corner in corners]
    varied = settings.model_dump(exclude={"trials", "overrides"})
    return provenance.fingerprint({c.model.name for c in corners}, varied, configurations, digest)


def _run(study: Study, settings: space.Search, folder: Path, parent: str) -> None:
    failures = 0
    while trial := study.begin():
        result = _train(trial, settings, folder, parent)
        study.end(trial, result)
        failures = failures + 1 if result["status"] == "FAILED" else 0
        if failures == FAILURES:
            raise PipelineError(f"{FAILURES} trials in a row failed, the last with: {result['error']}")


def _train(trial: "Trial", settings: space.Search, folder: Path, parent: str) -> dict[str, Any]:
    """Train with the overrides of `trial`, and return the job's result.

    The name of the folder is a digest of the overrides: after a kill the training resumes, and none runs twice.
    """
    swept = trial.user_attrs["overrides"]
    cfg, choices = config.compose([*settings.overrides, *swept])
    out = paths.Outputs(folder / hashlib.sha256(" ".join(swept).encode()).hexdigest()[:12])
    context = RunContext(out, "search", choices, label=label(swept), sweep=folder.name, parent=parent)
    reported = 0

    def report(history: list[dict[str, float]]) -> None:
        nonlocal reported
        for row in history[reported:]:
            trial.report(row["val_accuracy"], int(row["epoch"]))
        reported = len(history)

    def on_epoch(history: list[dict[str, float]]) -> None:
        report(history)
        if reported < cfg.train.epochs and trial.should_prune():
            best = max(row["val_accuracy"] for row in history)
            epoch = f"epoch {reported} of {cfg.train.epochs}"
            raise Stopped(f"after {epoch}: best val accuracy {best:.2%}, below the median")

    result = run_job(cfg, context, swept, f"[trial {trial.number + 1}]", on_epoch)
    if result["status"] == "FINISHED":
        report(files.read_csv(out.history))  # also epochs from before a kill, or of a trial with the same overrides
    if result["status"] == "FAILED":
        Tracker(cfg.tracking)  # if the store is the cause, end the search here; the trial can resume later
    return result


def _conclude(study: Study, settings: space.Search, folder: Path, tracker: Tracker, parent: str) -> None:
    """Print and log the ranking, the trials, and their figure."""
    from pipeline.plots import search

    rows = study.rows()
    counts = Counter(row["state"] for row in rows)
    text = f"{len(rows)} trials: " + ", ".join(f"{number} {state}" for state, number in counts.items())
    # Two trials with the same overrides share one training.
    results = {tuple(r["swept"]): r for r in map(read_result, sorted(folder.glob("*/"))) if r["status"] == "FINISHED"}
    if not results:
        print(f"\n{text}")
        return
    table = ranking.ranked(list(results.values()))
    text_table = ranking.markdown(table)
    files.replace(folder / "search.md", f"{text_table}\n\n{text}\n".encode())
    files.write_csv(folder / "trials.csv", rows)
    best = table[0]["best"]
    search.search(folder / "search.png", rows, best["data"]["name"])
    tracker.log_metrics(parent, {"best_val_accuracy": best["val"]["accuracy"], "trials": len(rows)})
    tracker.log_files(parent, [folder / name for name in ("search.md", "trials.csv", "search.png")])
    tracker.describe(parent, f"{ranking.shortened(text_table)}\n\n{text}")
    print(f"\n{text_table}\n\n{text}\n{params.advice(pinned([*settings.overrides, *best['swept']]), 'line 1')}")
    registry.offer_result(tracker, best)


if __name__ == "__main__":
    main()
