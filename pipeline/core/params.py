"""Writes overrides into params.yaml."""

import io
import shlex
from typing import Any

from ruamel.yaml import YAML

from pipeline.core import config, files, paths
from pipeline.core.errors import PipelineError


def write(changed: dict[str, Any]) -> None:
    """Set the dotted keys `changed` in params.yaml, and keep its comments."""
    yaml = YAML()
    yaml.width = 1000  # each value stays on the line of its key
    yaml.representer.add_representer(
        type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    params = yaml.load(paths.PARAMS)
    for key, value in changed.items():
        section, _, name = key.partition(".")
        (params[section] if name else params)[name or section] = value
    text = io.BytesIO()
    yaml.dump(params, text)
    files.replace(paths.PARAMS, text.getvalue())


def changes(overrides: list[str]) -> dict[str, Any]:
    """Return the dotted keys of params.yaml that `overrides` change, with their new values.

    Raises PipelineError if one of `overrides` sets a key that params.yaml does not have.
    """
    changed, in_options = _differences(overrides)
    for key in in_options:  # without the value, which may be an address with a password
        raise PipelineError(
            f"params.yaml has no key {key}; accepted: {', '.join(_params())}; "
            f"for other keys add an option: a file in conf/{key.split('.')[0]}/"
        )
    return changed


def advice(overrides: list[str], what: str) -> str:
    """Return the steps that make `what`, the training of `overrides`, the committed run."""
    changed, in_options = _differences(overrides)
    _, choices = config.compose(overrides)
    steps = [
        f"set {key} to {value} in conf/{group}/{choices[group]}.yaml"
        for key, value in in_options.items()
        for group in [key.split(".")[0]]
    ]
    settings = shlex.join(f"{key.removeprefix('choices.')}={_quoted(value)}" for key, value in changed.items())
    steps.append((f"python -m pipeline.use {settings} && " if changed else "") + "dvc repro")
    return f"To make {what} the committed run: {', then '.join(steps)}"


def _quoted(value: Any) -> Any:
    """Return `value` with quotes if it has signs that Hydra's command line does not take without them."""
    return f"'{value}'" if isinstance(value, str) and set(value) & set("#=:") else value


def _differences(overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys of params.yaml that `overrides` change, and the keys that only options of conf/ have."""
    wanted, choices = config.compose(overrides)
    del choices["experiment"]
    current, _ = config.compose([f"{group}={option}" for group, option in choices.items()])
    params = _params()
    values = _settings({"choices": choices, **wanted.model_dump()})
    composed = _settings(current.model_dump())
    in_options = {key: values[key] for key, value in composed.items() if values[key] != value and key not in params}
    return {key: values[key] for key, value in params.items() if values[key] != value}, in_options


def _params() -> dict[str, Any]:
    return _settings(YAML(typ="safe").load(paths.PARAMS))


def _settings(sections: dict[str, Any]) -> dict[str, Any]:
    """Return {"seed": 1, "train": {"epochs": 2}} as {"seed": 1, "train.epochs": 2}; a setting may be a dictionary."""
    return {
        f"{section}.{key}" if key else section: value
        for section, settings in sections.items()
        for key, value in (settings if isinstance(settings, dict) else {"": settings}).items()
    }
