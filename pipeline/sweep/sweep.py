"""Trains every combination of options, and says which one is best on val.

A sweep is identified by its configurations, datasets and training code: the same command resumes it in the same
folder and does not repeat finished jobs. A training with overrides and without -m is a single run.
"""

import contextlib
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.core import config, files, params, paths, runtime
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.redact import redact
from pipeline.core.stage import RunContext
from pipeline.sweep import launchers, ranking, secrets
from pipeline.sweep.jobs import label, parent_run, prepare, read_result, run_job
from pipeline.sweep.plan import Planned, is_hydras, key, parse, plan
from pipeline.tracking import registry

PARENT = "sweep.json"


def single(arguments: list[str]) -> Path:
    """Train what `arguments` (overrides) give as one run in a folder of its own below outputs/; return the folder.

    Raises PipelineError before any work if the configuration is not valid, and if the training fails.
    """
    secrets.refuse(arguments)
    jobs = plan(arguments)
    if len(jobs) > 1:
        raise PipelineError(f"these are {len(jobs)} trainings; a sweep is `python -m pipeline.train -m OVERRIDES`")
    if others := [o for o in parse(arguments) if is_hydras(o) and o.get_key_element() != "hydra.run.dir"]:
        raise PipelineError(f"{others[0].get_key_element()} is for sweeps; accepted without -m: hydra.run.dir")
    (job,) = jobs
    name = key(jobs, [prepare(job.cfg.data)])
    folder = _named(arguments, "hydra.run.dir") or _known(paths.HOME / "outputs", "%Y-%m-%d/%H-%M-%S", name)
    runtime.configure()
    print(f"a single run in {folder}; models/ and results/ belong to `dvc repro`")
    context = RunContext(paths.Outputs(folder), "manual", config.compose(job.overrides)[1], label(job.swept))
    result = run_job(job.cfg, context, job.swept, "[run]")
    if result["status"] != "FINISHED":
        raise PipelineError(f"the training failed ({result['error']}); the same command tries it again")
    from pipeline.tracking.tracker import Tracker

    print(f"model: {context.out.model}\n{params.advice(job.overrides, 'this')}")
    registry.offer_result(Tracker(job.cfg.tracking), result)
    return folder


def sweep(arguments: list[str]) -> list[Path]:
    """Run the sweep that `arguments` (overrides, with values to combine) describe; return its jobs' folders.

    Prints a table, best first, and how to make the best the committed run.
    Raises PipelineError before any work if one of the combinations is not valid, and at the end if jobs failed.
    """
    secrets.refuse(arguments)
    jobs = plan(arguments)
    launchers.check([str(o.input_line) for o in parse(arguments) if is_hydras(o)], jobs[0].cfg.tracking)
    datasets = {job.cfg.data.model_dump_json(): job.cfg.data for job in jobs}
    name = key(jobs, [prepare(data) for data in datasets.values()])
    folder, arguments = _folder(arguments, name)
    with exclusive(folder / "sweep.lock", "this sweep"):
        _train_all(jobs, folder, arguments, name)
    return [folder / str(i) for i in range(len(jobs))]


def _named(arguments: list[str], option: str) -> Path | None:
    """Return the folder that Hydra's `option` names in `arguments`."""
    values = [o.value() for o in parse(arguments) if o.get_key_element() == option]
    return Path(str(getattr(values[-1], "text", values[-1]))).resolve() if values else None  # quoted, or not


def _known(parent: Path, stamp: str, name: str) -> Path:
    """Return the folder below `parent` that an earlier start of the training or sweep `name` used, or a new one."""
    new = parent / f"{datetime.now():{stamp}}-{name}"
    return next(iter(sorted(parent.glob(f"{'*/' * stamp.count('/')}*-{name}"))), new)


def _folder(arguments: list[str], name: str) -> tuple[Path, list[str]]:
    """Return the folder of the sweep, that of its earlier start if there is one, and the arguments that name it.

    Raises PipelineError where the folder that `arguments` name holds another sweep.
    """
    if folder := _named(arguments, "hydra.sweep.dir"):
        if (folder / PARENT).exists() and files.read_json(folder / PARENT)["key"] != name:
            raise PipelineError(
                f"{folder} holds another sweep, or one of other settings, images or code; name another folder"
            )
        return folder, arguments
    folder = _known(paths.HOME / "multirun", "%Y-%m-%d-%H-%M-%S", name)
    quoted = str(folder).replace("'", r"\'")  # Hydra's grammar gives some characters a meaning
    return folder, [*arguments, f"hydra.sweep.dir='{quoted}'"]


def _train_all(jobs: list[Planned], folder: Path, arguments: list[str], name: str) -> None:
    """Have Hydra's launcher run the jobs, below one MLflow run where there are several, and sum up their results."""
    runtime.configure()
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(jobs[0].cfg.tracking)
    run_id = _parent(tracker, jobs, folder, arguments, name)
    print(f"{len(jobs)} job{'s' if run_id else ''} in {folder}")
    with tracker.active(run_id) if run_id else contextlib.nullcontext():
        sys.argv = [sys.argv[0], "-m", *arguments]
        lost: list[str] = []
        try:
            hydra.main(config_path=str(paths.CONF), config_name="config", version_base="1.3")(job)()
        except KeyboardInterrupt:
            print("the same command goes on with this sweep", file=sys.stderr)
            raise
        except Exception as error:
            lost = [launchers.explain(error)]
        results = [read_result(folder / str(i)) for i in range(len(jobs))]
        done = [r for r in results if r["status"] == "FINISHED"]
        failed = [r for r in results if r["status"] != "FINISHED"]
        if done:
            table = ranking.ranked(done)
            _write(tracker, run_id, folder, results, table)
            # The best seed of the best configuration.
            best = table[0]["best"]
            winner = next(job for job in jobs if job.swept == best["swept"])
            print(f"\n{ranking.markdown(table)}\n\n{params.advice(winner.overrides, 'line 1')}")
            registry.offer_result(tracker, best)
        if failed:
            summary = f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again"
            reasons = [f"  {r['label']}: {r['error']}" for r in failed]
            raise PipelineError("\n".join([*lost, summary, *reasons]))
        if lost:
            raise PipelineError(f"{lost[0]}; all {len(jobs)} jobs are finished")


def _parent(tracker: Any, jobs: list[Planned], folder: Path, arguments: list[str], name: str) -> str | None:
    """Return the MLflow run of the sweep: that of its earlier start, or a new one; None for a single job."""
    kept = {"key": name, "jobs": [job.swept for job in jobs]}
    if len(jobs) == 1:
        files.write_sealed(folder / PARENT, {"mlflow_run_id": None, **kept})
        return None
    command = redact(shlex.join(["python", "-m", "pipeline.train", "-m", *arguments]))
    keys = [label([part]).partition("=")[0] for part in jobs[0].swept]
    tags = {"source": "sweep", "sweep": folder.name, "command": command, "data": jobs[0].cfg.data.name}
    title = f"sweep of {' x '.join(keys)}, {len(jobs)} jobs"
    return parent_run(tracker, folder / PARENT, title, tags, **kept)


def job(composed: DictConfig) -> None:
    """Train and score one combination, where the launcher puts it; its failure is recorded, not raised."""
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
    tracker: Any, run_id: str | None, folder: Path, results: list[dict[str, Any]], table: list[dict[str, Any]]
) -> None:
    """Leave the table in the sweep's folder, and in its MLflow run where it has one."""
    columns = ("label", "status", "epoch", "epochs", "minutes", "mlflow_run_id")
    scores = ("accuracy", "accuracy_low", "accuracy_high", "loss", "macro_f1")
    jobs = [
        {"job": i, **{c: r.get(c) for c in columns}, **{f"val_{s}": r.get("val", {}).get(s) for s in scores}}
        for i, r in enumerate(results)
    ]
    files.write_csv(folder / "sweep.csv", jobs)
    files.replace(folder / "sweep.md", (ranking.markdown(table) + "\n").encode())
    if not run_id:
        return
    best = table[0]["best"]["val"]["accuracy"]
    tracker.log_metrics(run_id, {"best_val_accuracy": best, "jobs": len(results)}, step=0)
    tracker.log_files(run_id, [folder / "sweep.csv", folder / "sweep.md"])
    tracker.describe(run_id, ranking.shortened(ranking.markdown(table)))
