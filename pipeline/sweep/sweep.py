"""Trains every combination of options, and ranks them by accuracy on val.

A sweep is identified by its configurations, datasets and training code: the same command resumes it in the same
folder and does not repeat finished jobs. Training with overrides but without -m is a single run.
"""

import contextlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from pipeline.core import config, files, params, paths, runtime
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.stage import RunContext
from pipeline.sweep import launchers, ranking, secrets
from pipeline.sweep.jobs import label, parent_run, prepare, read_result, run_job
from pipeline.sweep.plan import Planned, key, plan, without_name
from pipeline.tracking import registry
from pipeline.train.source import pinned

PARENT = "sweep.json"


def single(arguments: list[str]) -> Path:
    """Train once with the overrides `arguments`, in a new folder below outputs/; return the folder.

    Raises PipelineError if the configuration is not valid (before any work), or if the training fails.
    """
    secrets.refuse(arguments)
    jobs, hydra_overrides = plan(arguments)
    if len(jobs) > 1:
        raise PipelineError(f"these are {len(jobs)} trainings; a sweep is `python -m pipeline.train -m OVERRIDES`")
    if others := [option for option in hydra_overrides if option != "hydra.run.dir"]:
        raise PipelineError(f"{others[0]} is for sweeps; accepted without -m: hydra.run.dir")
    (job,) = jobs
    name = key(jobs, [prepare(job.cfg.data)])
    chosen = _folder_option(hydra_overrides, "hydra.run.dir")
    folder = chosen or _earlier_or_new(paths.HOME / "outputs", "%Y-%m-%d/%H-%M-%S", name)
    runtime.configure()
    print(f"a single run in {folder}; models/ and results/ belong to `dvc repro`")
    context = RunContext(paths.Outputs(folder), "manual", config.compose(job.overrides)[1], label(job.swept))
    result = run_job(job.cfg, context, job.swept, "[run]")
    if result["status"] != "FINISHED":
        raise PipelineError("the training failed, as said above; the same command repeats it")
    from pipeline.tracking.tracker import Tracker

    print(f"model: {context.out.model}\n{params.advice(pinned(job.overrides), 'this')}")
    registry.offer_result(Tracker(job.cfg.tracking), result)
    return folder


def sweep(arguments: list[str]) -> list[Path]:
    """Run the sweep of `arguments` (overrides, with values to combine); return the folders of its jobs.

    Prints a table, best configuration first, and the steps that make the best the committed run. Raises PipelineError
    if a combination is not valid or the folder has another sweep (before any work), or if jobs failed (at the end).
    """
    secrets.refuse(arguments)
    title, arguments = without_name(arguments)
    jobs, hydra_overrides = plan(arguments)
    launchers.check([str(o.input_line) for o in hydra_overrides.values()], jobs[0].cfg.tracking)
    datasets = {job.cfg.data.model_dump_json(): job.cfg.data for job in jobs}
    name = key(jobs, [prepare(data) for data in datasets.values()])
    folder = _folder_option(hydra_overrides, "hydra.sweep.dir")
    if folder is None:
        stamp = f"%Y-%m-%d-%H-%M-%S-{title}" if title else "%Y-%m-%d-%H-%M-%S"
        folder = _earlier_or_new(paths.HOME / "multirun", stamp, name)
        quoted = str(folder).replace("'", r"\'")  # unquoted, some characters have a meaning in Hydra's grammar
        arguments = [*arguments, f"hydra.sweep.dir='{quoted}'"]
    elif (folder / PARENT).exists() and files.read_json(folder / PARENT)["key"] != name:
        raise PipelineError(
            f"{folder} has another sweep, or this one with other settings, images or code; choose another folder"
        )
    with exclusive(folder / "sweep.lock", "this sweep"):
        _train_all(jobs, folder, arguments, name, title)
    return [folder / str(i) for i in range(len(jobs))]


def _folder_option(overrides: dict[str, Override], option: str) -> Path | None:
    """Return the folder in Hydra's `option`; None without it."""
    value = overrides[option].value() if option in overrides else None
    return Path(str(getattr(value, "text", value))).resolve() if value else None  # quoted, or not


def _earlier_or_new(parent: Path, stamp: str, name: str) -> Path:
    """Return the folder of an earlier start of the training or sweep `name` below `parent`, or a new one."""
    new = parent / f"{datetime.now():{stamp}}-{name}"
    return next(iter(sorted(parent.glob(f"{'*/' * stamp.count('/')}*-{name}"))), new)


def _train_all(jobs: list[Planned], folder: Path, arguments: list[str], name: str, title: str | None) -> None:
    """Run the jobs with Hydra's launcher, below one MLflow run if there are several, and rank their results."""
    runtime.configure()
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(jobs[0].cfg.tracking)
    run_id = _parent(tracker, jobs, folder, arguments, name, title)
    print(f"{len(jobs)} job{'s' if run_id else ''} in {folder}")
    with tracker.active(run_id) if run_id else contextlib.nullcontext():
        sys.argv = [sys.argv[0], "-m", *arguments]
        launcher_errors: list[str] = []
        try:
            hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")(job)()
        except KeyboardInterrupt:
            print("the same command resumes this sweep", file=sys.stderr)
            raise
        except Exception as error:
            launcher_errors = [launchers.explain(error)]
        results = [read_result(folder / str(i)) for i in range(len(jobs))]
        done = [r for r in results if r["status"] == "FINISHED"]
        failed = [r for r in results if r["status"] != "FINISHED"]
        tables = ranking.by_dataset(done)
        if done:
            _write(tracker, run_id, folder, results, tables)
        for name, table in tables.items():
            best = table[0]["best"]
            winner = next(job for job in jobs if job.swept == best["swept"])
            line = "line 1" if len(tables) == 1 else f"line 1 of {name}"
            print(params.advice(pinned(winner.overrides), line))
            registry.offer_result(tracker, best)
        if failed:
            summary = f"{len(failed)} of {len(jobs)} jobs failed; the same command repeats them"
            reasons = [f"  {r['label']}: {r['error']}" for r in failed]
            raise PipelineError("\n".join([*launcher_errors, summary, *reasons]))
        if launcher_errors:
            raise PipelineError(f"{launcher_errors[0]}; all {len(jobs)} jobs are finished")


def _parent(
    tracker: Any, jobs: list[Planned], folder: Path, arguments: list[str], name: str, title: str | None
) -> str | None:
    """Return the MLflow run of the sweep: from its earlier start, or a new one; None for a single job."""
    content = {"key": name, "jobs": [job.swept for job in jobs]}
    if len(jobs) == 1:
        files.write_sealed(folder / PARENT, {"mlflow_run_id": None, **content})
        return None
    command = secrets.shown("pipeline.train", ["-m", *arguments])
    keys = [label([part]).partition("=")[0] for part in jobs[0].swept]
    tags = {"source": "sweep", "sweep": folder.name, "command": command, "data": jobs[0].cfg.data.name}
    title = title or f"sweep of {' x '.join(keys)}, {len(jobs)} jobs"
    return parent_run(tracker, folder / PARENT, title, tags, **content)


def job(composed: DictConfig) -> None:
    """Train one combination in the launcher's process; a failure is part of its result, not raised."""
    config.prepare()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.sweep.dir)
    parent = files.read_json(folder / PARENT)
    number = int(hydra_config.job.num)
    launchers.take_gpu(hydra_config.launcher)
    run_job(
        config.check(composed),
        RunContext(
            paths.Outputs(Path(hydra_config.runtime.output_dir)),
            "sweep" if parent["mlflow_run_id"] else "manual",
            config.chosen(hydra_config),
            label=label(parent["jobs"][number]),
            sweep=folder.name,
            parent=parent["mlflow_run_id"],
            threads=launchers.threads(hydra_config.launcher, len(parent["jobs"])),
        ),
        parent["jobs"][number],
        f"[{number + 1}/{len(parent['jobs'])}]",
    )


def _write(
    tracker: Any,
    run_id: str | None,
    folder: Path,
    results: list[dict[str, Any]],
    tables: dict[str, list[dict[str, Any]]],
) -> None:
    """Print and write the table of each dataset, and log them to the sweep's run if there is one."""
    columns = ("label", "status", "epoch", "epochs", "minutes", "mlflow_run_id")
    scores = ("accuracy", "accuracy_low", "accuracy_high", "loss", "macro_f1")
    jobs = [
        {"job": i, **{c: r.get(c) for c in columns}, **{f"val_{s}": r.get("val", {}).get(s) for s in scores}}
        for i, r in enumerate(results)
    ]
    headings = {name: f"{name}\n\n" if len(tables) > 1 else "" for name in tables}
    text = "\n\n".join(headings[name] + ranking.markdown(table) for name, table in tables.items())
    files.write_csv(folder / "sweep.csv", jobs)
    files.replace(folder / "sweep.md", f"{text}\n".encode())
    if run_id:
        best = [table[0]["best"]["val"]["accuracy"] for table in tables.values()]
        known = {"best_val_accuracy": best[0]} if len(best) == 1 else {}
        tracker.log_metrics(run_id, {"jobs": len(results), **known})
        tracker.log_files(run_id, [folder / "sweep.csv", folder / "sweep.md"])
        tracker.describe(run_id, ranking.shortened(text))
    print(f"\n{text}\n")
