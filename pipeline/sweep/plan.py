"""From the command line of a sweep to its jobs: every combination, composed and checked before any work."""

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
"""The overrides that say where a training runs and is recorded, and change nothing of it."""


class Planned(NamedTuple):
    """One combination: its overrides, which of them differ between jobs, and the configuration they give."""

    overrides: list[str]
    swept: list[str]
    cfg: Config


def plan(arguments: list[str]) -> list[Planned]:
    """Return the jobs of the sweep, in Hydra's order, each composed and checked.

    A single job is identified by all of its overrides.
    """
    config.check_overrides(arguments)
    parsed = [override for override in parse(arguments) if not is_hydras(override)]
    if intervals := [o.get_key_element() for o in parsed if o.is_sweep_override() and not o.is_discrete_sweep()]:
        raise PipelineError(f"{intervals[0]} is an interval, which has no end; give values or range(a,b,step)")
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
        raise PipelineError("a sweep keeps its runs in one store; sweep over anything but tracking")
    return jobs


def _values(override: Override) -> list[str]:
    """Return the overrides that `override` stands for: one for each of its values."""
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.get_value_element_as_str()}"]


def parse(arguments: list[str]) -> list[Override]:
    """Return `arguments` as Hydra reads them."""
    config.prepare()
    with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
        return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(arguments)


def is_hydras(override: Override) -> bool:
    """Tell whether `override` sets one of Hydra's own keys."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def key(jobs: list[Planned], digests: list[str]) -> str:
    """Return the fingerprint of what the results depend on: configurations, datasets (`digests`) and code."""
    settings = [(job.swept, job.cfg.model_dump(exclude={"evaluate"})) for job in jobs]
    return provenance.fingerprint({job.cfg.model.name for job in jobs}, settings, digests)


def check_only(overrides: list[str], accepted: tuple[str, ...]) -> None:
    """Raise PipelineError if one of `overrides` is not below a key of `accepted`."""
    for override in overrides:
        if not override.partition("=")[0].startswith(accepted):
            raise PipelineError(f"{override} would change the experiment; accepted: {', '.join(accepted)}")
