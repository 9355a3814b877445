"""Plans the jobs of a sweep: composes and validates every combination before any work."""

import itertools
from typing import NamedTuple

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from pipeline.core import config, paths, provenance
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config

WHERE = ("tracking", "hydra/launcher", "hydra.launcher")
"""The keys that choose where a training runs and is logged; they do not change its result."""


class Planned(NamedTuple):
    """A planned job: its overrides, those of them that differ between jobs, and its configuration."""

    overrides: list[str]
    swept: list[str]
    cfg: Config


def plan(arguments: list[str]) -> list[Planned]:
    """Return the jobs of the sweep in Hydra's order, composed and validated.

    In a single job, all overrides count as differing.
    """
    config.check_overrides(arguments)
    parsed = [override for override in parse(arguments) if not is_hydra_key(override)]
    if intervals := [o.get_key_element() for o in parsed if o.is_sweep_override() and not o.is_discrete_sweep()]:
        raise PipelineError(f"{intervals[0]} is an interval; accepted: a list of values, or range(a,b,step)")
    swept = {o.get_key_element() for o in parsed if o.is_sweep_override()}
    values = {o.get_key_element(): _values(o) for o in parsed}
    if empty := [key for key, some in values.items() if not some]:
        raise PipelineError(f"the sweep has no jobs: {', '.join(sorted(empty))} has no values")
    combinations = list(itertools.product(*values.values()))
    jobs = []
    for combination in combinations:
        differing = [o for o in combination if o.partition("=")[0] in swept or len(combinations) == 1]
        jobs.append(Planned(list(combination), differing, config.compose(list(combination))[0]))
    if len({job.cfg.tracking for job in jobs}) > 1:
        raise PipelineError("tracking has several values; accepted: one, because a sweep logs to one store")
    return jobs


def _values(override: Override) -> list[str]:
    """Return one override for each value of `override`."""
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.get_value_element_as_str()}"]


def parse(arguments: list[str]) -> list[Override]:
    """Return `arguments` as parsed by Hydra."""
    config.prepare()
    with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
        return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(arguments)


def is_hydra_key(override: Override) -> bool:
    """Return whether `override` sets one of Hydra's own keys."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def key(jobs: list[Planned], digests: list[str]) -> str:
    """Return the fingerprint of everything that decides the results: configurations, datasets (`digests`) and code."""
    settings = [(job.swept, job.cfg.model_dump(exclude={"evaluate"})) for job in jobs]
    return provenance.fingerprint({job.cfg.model.name for job in jobs}, settings, digests)


def check_only(overrides: list[str], accepted: tuple[str, ...]) -> None:
    """Raise PipelineError if the key of one of `overrides` does not begin with one of `accepted`."""
    for override in overrides:
        if not override.partition("=")[0].startswith(accepted):
            raise PipelineError(f"{override} would change the experiment; accepted: {', '.join(accepted)}")
