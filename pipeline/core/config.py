"""Composes the configuration from params.yaml and conf/, and validates it."""

import os
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.conf import HydraConf
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.core import paths, renamed
from pipeline.core.errors import PipelineError
from pipeline.core.nested import flatten
from pipeline.core.schema import Config, model_options
from pipeline.core.validation import validate

GROUPS = ("data", "augment", "model", "optimizer", "schedule", "teacher", "tracking")
"""The folders of conf/; params.yaml chooses one option of each."""


def compose(overrides: list[str]) -> tuple[Config, dict[str, str]]:
    """Return the validated configuration for `overrides` (as on the command line), and the option of each group."""
    check_overrides(overrides)
    try:
        prepare()
        with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
            composed = hydra.compose("config", overrides, return_hydra_config=True)
    except ConfigCompositionException as error:
        added = [f"+{o}" if f"Could not override '{o.partition('=')[0]}'" in str(error) else o for o in overrides]
        if added == overrides:
            raise
        return compose(added)  # Hydra only says how to add the key; `check` lists the accepted ones
    except (ValueError, AttributeError, RecursionError) as error:  # PyYAML's and Hydra's, on malformed files
        raise PipelineError(f"params.yaml or conf/ cannot be read: {error}".splitlines()[0]) from error
    choices = chosen(composed.hydra)
    with open_dict(composed):
        del composed.hydra
    return check(composed), choices


def without_plus(overrides: list[str]) -> list[str]:
    """Return `overrides` with GROUP=OPTION for +GROUP=OPTION, which Hydra's users may know from other projects.

    Every group of this project has an option already, so there is nothing to add.
    """
    groups = tuple(f"+{group}=" for group in (*GROUPS, "experiment"))
    return [override.removeprefix("+") if override.startswith(groups) else override for override in overrides]


def check_overrides(overrides: list[str]) -> None:
    """Raise PipelineError if one of `overrides` uses an old name, or `choices.GROUP` in place of Hydra's group."""
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        for option in value.split(","):
            if (old := f"{key}/{option}") in renamed.OPTIONS:
                raise PipelineError(f"{override}: {old} is now called {renamed.OPTIONS[old]}")
        if key.startswith("choices."):
            raise PipelineError(f"{override} has no effect on the command line; use {key[8:]}={value}")


def check(composed: DictConfig) -> Config:
    """Return the composed configuration as typed, read-only sections.

    Raises PipelineError with a line for each key that is unknown, has a wrong type or is out of bounds.
    """
    try:
        keys: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise PipelineError(f"configuration: {error}".splitlines()[0]) from error
    if unknown := set(keys.pop("choices")) - set(GROUPS):
        raise PipelineError(f"configuration: unknown key 'choices.{min(unknown)}'; accepted: {', '.join(GROUPS)}")
    for old in flatten(keys):
        if old in renamed.KEYS:
            raise PipelineError(f"configuration: {old} is now called {renamed.KEYS[old]}")
    try:
        keys["model"] = validate(model_options(keys["model"]), keys["model"], "configuration", "model")
    except ValueError as error:
        raise PipelineError(f"configuration: model.{error}") from error
    return validate(Config, keys, "configuration")


def prepare() -> None:
    """Set the path of params.yaml for Hydra, and register the resolver `choice` of conf/config.yaml.

    Raises PipelineError if a file is not UTF-8 text, or names the choice that is missing from params.yaml.
    """
    for path in (paths.PARAMS, *paths.CONF.rglob("*.yaml")):
        _check_text(path)
    choices = _choices(paths.PARAMS)
    if missing := [group for group in GROUPS if group not in choices]:
        raise PipelineError(f"params.yaml: choices.{missing[0]} is missing; choose from {_options(missing[0])}")
    os.environ["PROJECT_ROOT"] = str(paths.ROOT)
    OmegaConf.register_new_resolver("choice", _choice, replace=True)


def _check_text(path: Path) -> None:
    """Raise PipelineError if `path` is not UTF-8 text or has aliases: a few lines of them can fill the memory."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}") from error
    if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise PipelineError(f"{path} has an alias (*name); accepted: every value written out")


def _choice(group: str, experiment: str) -> str:
    """Return the option of `group` in the choices of the experiment, or else of params.yaml."""
    file = paths.CONF / "experiment" / f"{experiment}.yaml"
    chosen = _choices(file) if file.exists() else {}
    option = str(chosen.get(group, _choices(paths.PARAMS)[group]))
    if (old := f"{group}/{option}") in renamed.OPTIONS:
        raise PipelineError(f"params.yaml or {file.name}: {old} is now called {renamed.OPTIONS[old]}")
    return option


def _choices(path: Path) -> dict[str, str]:
    with open(path) as file:
        content = yaml.safe_load(file)
    choices = content.get("choices", {}) if isinstance(content, dict) else {}
    return choices if isinstance(choices, dict) else {}


def groups() -> str:
    """Return a line for each group with its options, for the help text."""
    names = (*GROUPS, "experiment", "hydra/launcher")
    lines = (f"  {name:<16} {_options(name)}" for name in names)
    return "\n".join(["Groups, each with one option (GROUP=OPTION):", *lines])


def _options(group: str) -> str:
    return ", ".join(sorted(path.stem for path in (paths.CONF / group).glob("*.yaml")))


def chosen(hydra_config: DictConfig | HydraConf) -> dict[str, str]:
    """Return the option used of each group, and of experiment."""
    return {group: str(hydra_config.runtime.choices[group]) for group in (*GROUPS, "experiment")}
