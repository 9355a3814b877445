"""Plans the jobs of a sweep: composes and validates every combination before any work."""

import itertools
import re
from pathlib import Path
from typing import NamedTuple

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from pipeline.core import config, paths, provenance
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.train.source import pin

WHERE = ("tracking", "hydra/launcher", "hydra.launcher")
"""The keys that choose where a training runs and is logged; they do not change its result."""


class Planned(NamedTuple):
    """A planned job: its overrides, those of them that differ between jobs, and its configuration."""

    overrides: list[str]
    swept: list[str]
    cfg: Config


def plan(arguments: list[str]) -> tuple[list[Planned], dict[str, Override]]:
    """Return the jobs of the sweep in Hydra's order, composed and validated, and the overrides of Hydra's own keys.

    In a single job, all overrides count as differing.
    """
    config.prepare()
    with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(arguments)
    by_key = {override.get_key_element(): override for override in parsed}
    own = {key: override for key, override in by_key.items() if re.match(r"[+~]*hydra[./]", key)}
    if sweeper := [override.input_line for key, override in own.items() if "sweeper" in key]:
        raise PipelineError(
            f"{sweeper[0]}: sweeps try all combinations; `python -m pipeline.search NAME` searches with Optuna: "
            "NAME is a file of conf/search/"
        )
    values = {key: _values(override) for key, override in by_key.items() if key not in own}
    if empty := [key for key, some in values.items() if not some]:
        raise PipelineError(f"the sweep has no jobs: {', '.join(sorted(empty))} has no values")
    combinations = [list(combination) for combination in itertools.product(*values.values())]
    swept = {key for key in values if by_key[key].is_sweep_override() or len(combinations) == 1}
    jobs = [
        Planned(overrides, [o for o in overrides if o.partition("=")[0] in swept], config.compose(overrides)[0])
        for overrides in combinations
    ]
    if len({job.cfg.tracking.uri for job in jobs}) > 1:
        raise PipelineError("tracking has several values; accepted: one, because a sweep logs to one store")
    return jobs, own


def show(arguments: list[str]) -> None:
    """Print the configuration of each job, as YAML below the overrides that differ between jobs."""
    for job in plan(without_name(arguments)[1])[0]:
        print(f"# {' '.join(job.swept)}\n{yaml.safe_dump(job.cfg.model_dump(), sort_keys=False)}")


def without_name(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the name that a sweep is given by `sweep=NAME`, and the other arguments."""
    names = [argument.partition("=")[2] for argument in arguments if argument.startswith("sweep=")]
    if invalid := [name for name in names if not re.fullmatch(r"[\w.-]+", name)]:
        raise PipelineError(f"sweep={invalid[0]}; accepted: a name of letters, digits, _, - and .")
    return (names[-1] if names else None), [a for a in arguments if not a.startswith("sweep=")]


def _values(override: Override) -> list[str]:
    """Return one override for each value of `override`."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise PipelineError(
            f"{key} is an interval; accepted: a list of values, or range(a,b,step); `python -m pipeline.search` tries "
            "values of intervals: write them into a file of conf/search/"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def key(jobs: list[Planned], digests: list[str]) -> str:
    """Return the fingerprint of everything that decides the results: configurations, datasets (`digests`) and code."""
    settings = [(job.swept, pin(job.cfg).model_dump(exclude={"evaluate"})) for job in jobs]
    return provenance.fingerprint({job.cfg.model.name for job in jobs}, settings, digests)


def check_only(overrides: list[str], accepted: tuple[str, ...]) -> None:
    """Raise PipelineError if the key of one of `overrides` does not begin with one of `accepted`."""
    for override in overrides:
        if not override.partition("=")[0].startswith(accepted):
            raise PipelineError(f"{override} would change the experiment; accepted: {', '.join(accepted)}")


def find_file(kind: str, name: str) -> Path:
    """Return the path of conf/`kind`/`name`.yaml; raise PipelineError if there is no such file."""
    found = {path.stem: path for path in sorted((paths.CONF / kind).glob("*.yaml")) if path.stem != "none"}
    if name not in found:
        problem = f"unknown {kind} '{name}'" if name else f"no {kind} is named"
        raise PipelineError(f"{problem}; choose from {', '.join(found)}, the files of conf/{kind}/")
    return found[name]
