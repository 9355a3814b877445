"""Hydra multirun: trains every combination of options, scores each on val, and says which one is best.

A sweep is known by its jobs' configurations, the images and the training's code: given again, it goes on in the same
folder, and its finished jobs are not run twice. A training with overrides is a sweep of one job, with one MLflow run.
"""

import contextlib
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from pipeline.core import config, files, params, paths, provenance, runtime
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.schema import Config
from pipeline.core.stage import RunContext
from pipeline.sweep import launchers, ranking, secrets
from pipeline.sweep.jobs import label, parent_run, prepare, read_result, run_job
from pipeline.tracking import registry

PARENT = "sweep.json"


class Planned(NamedTuple):
    """One combination: its overrides, which of them differ between jobs, and the configuration they give."""

    overrides: list[str]
    swept: list[str]
    cfg: Config


def sweep(arguments: list[str]) -> list[Path]:
    """Run the sweep that `arguments` (overrides, with values to combine) describe; return its jobs' folders.

    Prints a table, best first, and how to record the best.

    Raises PipelineError before any work where one of the combinations is not valid, and at the end where jobs failed.
    """
    secrets.refuse(arguments)
    jobs = plan(arguments)
    launchers.check([o.input_line for o in _parse(arguments) if _is_hydras(o)], jobs[0].cfg.tracking)
    sets = {job.cfg.data.model_dump_json(): job.cfg.data for job in jobs}
    key = _key(jobs, [prepare(data) for data in sets.values()])
    folder, arguments = _folder(arguments, key)
    with exclusive(folder / "sweep.lock", "this very sweep"):
        _train_all(jobs, folder, arguments, key)
    return [folder / str(i) for i in range(len(jobs))]


def plan(arguments: list[str]) -> list[Planned]:
    """Return the jobs of the sweep, in Hydra's order, each composed and checked.

    A single job is told from those of other sweeps by all of its overrides.
    """
    parsed = [o for o in _parse(arguments) if not _is_hydras(o)]
    if intervals := [o.get_key_element() for o in parsed if o.is_sweep_override() and not o.is_discrete_sweep()]:
        raise PipelineError(f"{intervals[0]} is an interval, which has no end; give values or range(a,b,step)")
    swept = {o.get_key_element() for o in parsed if o.is_sweep_override()}
    combinations = BasicSweeper.split_arguments(parsed, None)[0]
    if not combinations:
        raise PipelineError(f"the sweep has no jobs: {', '.join(sorted(swept))} has no values")
    jobs = []
    for overrides in combinations:
        differing = [o for o in overrides if o.partition("=")[0] in swept or len(combinations) == 1]
        jobs.append(Planned(overrides, differing, config.compose(overrides)[0]))
    if len({job.cfg.tracking for job in jobs}) > 1:
        raise PipelineError("a sweep keeps its runs in one store; sweep over anything but tracking")
    return jobs


def _parse(arguments: list[str]) -> list[Override]:
    config.prepare()
    with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
        return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(arguments)


def _is_hydras(override: Override) -> bool:
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def _key(jobs: list[Planned], digests: list[str]) -> str:
    """Return the fingerprint of what the sweep's results depend on: configurations, images and code, no launcher.

    `digests` are those of the images.
    """
    return provenance.fingerprint([(job.swept, job.cfg.model_dump(exclude={"evaluate"})) for job in jobs], digests)


def _folder(arguments: list[str], key: str) -> tuple[Path, list[str]]:
    """Return the folder of the sweep, that of its earlier start if there is one, and the arguments that name it.

    Raises PipelineError where the folder that `arguments` name holds another sweep.
    """
    named = [o.value() for o in _parse(arguments) if o.get_key_element() == "hydra.sweep.dir"]
    if named:
        folder = Path(str(getattr(named[-1], "text", named[-1]))).resolve()  # quoted, or not
        if (folder / PARENT).exists() and files.read_json(folder / PARENT)["key"] != key:
            raise PipelineError(
                f"{folder} holds another sweep, or one of other settings, images or code; name another folder"
            )
        return folder, arguments
    new = paths.HOME / "multirun" / f"{datetime.now():%Y-%m-%d-%H-%M-%S}-{key}"
    folder = next(iter(sorted(new.parent.glob(f"*-{key}"))), new)
    quoted = str(folder).replace("'", r"\'")  # its name may hold what Hydra's grammar has a meaning for
    return folder, [*arguments, f"hydra.sweep.dir='{quoted}'"]


def _train_all(jobs: list[Planned], folder: Path, arguments: list[str], key: str) -> None:
    """Have Hydra's launcher run the jobs, below one MLflow run where there are several, and sum up their results."""
    runtime.configure()
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(jobs[0].cfg.tracking)
    run_id = _parent(tracker, jobs, folder, arguments, key)
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
            print(f"\n{ranking.markdown(table)}\n\n{params.advice(winner.overrides)}")
            registry.offer_result(tracker, best)
        if failed:
            summary = f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again"
            reasons = [f"  {r['label']}: {r['error']}" for r in failed]
            raise PipelineError("\n".join([*lost, summary, *reasons]))
        if lost:
            raise PipelineError(f"{lost[0]}; all {len(jobs)} jobs are finished")


def _parent(tracker: Any, jobs: list[Planned], folder: Path, arguments: list[str], key: str) -> str | None:
    """Return the MLflow run of the sweep: that of its earlier start, or a new one; None for a single job."""
    from pipeline.core.redact import redact

    kept = {"key": key, "jobs": [job.swept for job in jobs]}
    if len(jobs) == 1:
        files.write_sealed(folder / PARENT, {"mlflow_run_id": None, **kept})
        return None
    command = redact(shlex.join(["python", "-m", "pipeline.train", "-m", *arguments]))
    keys = [label([part]).partition("=")[0] for part in jobs[0].swept]
    tags = {"source": "sweep", "sweep": folder.name, "command": command, "data": jobs[0].cfg.data.name}
    name = f"sweep of {' x '.join(keys)}, {len(jobs)} jobs"
    return parent_run(tracker, folder / PARENT, name, tags, **kept)


def job(composed: DictConfig) -> None:
    """Train and score one combination, where the launcher puts it; its failure is recorded, not raised."""
    config.prepare()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.sweep.dir)
    parent = files.read_json(folder / PARENT)
    number = int(hydra_config.job.num)
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
