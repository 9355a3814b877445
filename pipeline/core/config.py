"""Composes the configuration from params.yaml and conf/, and checks it."""

import os
from pathlib import Path

import hydra
import yaml
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config

GROUPS = ("data", "augment", "model", "optimizer", "schedule", "teacher", "tracking")
"""The folders of conf/ of which params.yaml chooses one option each."""


def compose(overrides: list[str]) -> tuple[Config, dict[str, str]]:
    """Return the checked configuration that `overrides` (as on the command line) give, and the chosen options."""
    try:
        prepare()
        with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
            composed = hydra.compose("config", overrides, return_hydra_config=True)
    except ConfigCompositionException as error:
        added = [f"+{o}" if f"Could not override '{o.partition('=')[0]}'" in str(error) else o for o in overrides]
        if added == overrides:
            raise
        return compose(added)  # Hydra says how to add the key, and not which ones there are: `check` does
    except (ValueError, AttributeError, RecursionError) as error:  # PyYAML's and Hydra's, on files that make no sense
        raise PipelineError(f"params.yaml or conf/ cannot be read: {error}".splitlines()[0]) from error
    choices = chosen(composed.hydra)
    with open_dict(composed):
        del composed.hydra
    return check(composed), choices


def check(composed: DictConfig) -> Config:
    """Return the composed configuration as typed, read-only sections.

    Raises PipelineError, naming each key that is unknown, of a wrong type or out of its bounds.
    """
    try:
        keys = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise PipelineError(f"configuration: {error}".splitlines()[0]) from error
    if unknown := set(keys.pop("choices")) - set(GROUPS):
        raise PipelineError(f"configuration: unknown key 'choices.{min(unknown)}'; accepted: {', '.join(GROUPS)}")
    try:
        return Config.model_validate(keys)
    except ValidationError as error:
        raise PipelineError("configuration: " + "\n".join(_problem(e) for e in error.errors()[:5])) from error


def prepare() -> None:
    """Tell Hydra where params.yaml stands, and what `choice` in conf/config.yaml means.

    Raises PipelineError where a file is no text, or params.yaml leaves a choice out: Hydra would not say which.
    """
    for path in (paths.PARAMS, *paths.CONF.rglob("*.yaml")):
        _check_text(path)
    choices = _choices(paths.PARAMS)
    if missing := [group for group in GROUPS if group not in choices]:
        raise PipelineError(f"params.yaml: choices.{missing[0]} is missing; choose from {_options(missing[0])}")
    os.environ["PROJECT_ROOT"] = str(paths.ROOT)
    OmegaConf.register_new_resolver("choice", _choice, replace=True)


def _check_text(path: Path) -> None:
    """Refuse what is no text, and aliases: a few lines of them stand for more values than memory holds."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise PipelineError(f"{path} has an alias (*name); accepted: every value written out")


def _choice(group: str, experiment: str) -> str:
    """Return the option of `group` that the recipe chooses, or else params.yaml."""
    recipe = paths.CONF / "experiment" / f"{experiment}.yaml"
    chosen = _choices(recipe) if recipe.exists() else {}
    return str(chosen.get(group, _choices(paths.PARAMS)[group]))


def _choices(path: Path) -> dict[str, str]:
    with open(path) as file:
        content = yaml.safe_load(file)
    choices = content.get("choices", {}) if isinstance(content, dict) else {}
    return choices if isinstance(choices, dict) else {}


def _options(group: str) -> str:
    return ", ".join(sorted(path.stem for path in (paths.CONF / group).glob("*.yaml")))


def chosen(hydra_config: DictConfig) -> dict[str, str]:
    """Return the option that is used of each group, and of experiment."""
    return {group: str(hydra_config.runtime.choices[group]) for group in (*GROUPS, "experiment")}


def _problem(error: dict) -> str:
    """Return one line for one of pydantic's errors: the key, the value, and what would be accepted."""
    # A section of several kinds adds the kind's name to the path: model.seed_cnn.filters.
    location = [str(part) for part in error["loc"]]
    if len(location) > 1 and location[0] in ("model", "optimizer", "schedule"):
        del location[1]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'; accepted: {_accepted(error['loc'][:-1])}"
    if error["type"] == "missing":
        return f"key '{key}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "accepted:").replace("Input tag", "name")
    return f"{key} is {error['input']!r}; {message}" if key and "accepted:" in message else f"{key} {message}".strip()


def _accepted(section: tuple[str, ...]) -> str:
    """Return the keys of a section of the schema; the name of a kind follows a section of several kinds."""
    fields = Config.model_fields
    for part in section:
        if part in fields:
            kinds = getattr(fields[part].annotation, "__args__", (fields[part].annotation,))
            fields = kinds[0].model_fields
        else:
            fields = next(kind.model_fields for kind in kinds if part in kind.model_fields["name"].annotation.__args__)
    return ", ".join(fields)
