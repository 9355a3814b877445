"""params.yaml: what overrides change in it, and writing that."""

import io
import shlex
from typing import Any

from ruamel.yaml import YAML

from pipeline.core import config, files, paths
from pipeline.core.errors import PipelineError


def write(changed: dict[str, Any]) -> None:
    """Set the dotted keys `changed` in params.yaml; its comments stay."""
    yaml = YAML()
    yaml.width = 1000  # no value on a line of its own
    params = yaml.load(paths.PARAMS)
    for key, value in changed.items():
        section, _, name = key.partition(".")
        (params[section] if name else params)[name or section] = value
    text = io.BytesIO()
    yaml.dump(params, text)
    files.replace(paths.PARAMS, text.getvalue())


def changes(overrides: list[str]) -> dict[str, Any]:
    """Return the keys of params.yaml, dotted, whose values `overrides` change, with the new ones.

    Raises PipelineError if one of `overrides` sets what params.yaml has no place for.
    """
    changed, elsewhere = _differences(overrides)
    for key in elsewhere:  # the value may be an address with a password
        raise PipelineError(
            f"{key} has no place in params.yaml, which holds {', '.join(_params())}; "
            f"make it an option: a file in conf/{key.split('.')[0]}/"
        )
    return changed


def advice(overrides: list[str], what: str) -> str:
    """Return how to make `what`, which `overrides` compose, the committed run."""
    changed, elsewhere = _differences(overrides)
    _, choices = config.compose(overrides)
    steps = [
        f"set {key} to {value} in conf/{group}/{choices[group]}.yaml"
        for key, value in elsewhere.items()
        for group in [key.split(".")[0]]
    ]
    settings = shlex.join(f"{key.removeprefix('choices.')}={value}" for key, value in changed.items())
    steps.append((f"python -m pipeline.use {settings} && " if changed else "") + "dvc repro")
    return f"To make {what} the committed run: {', then '.join(steps)}"


def _differences(overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `overrides` change: keys of params.yaml, and those of chosen options that have no place in it."""
    wanted, choices = config.compose(overrides)
    del choices["experiment"]
    now, _ = config.compose([f"{group}={option}" for group, option in choices.items()])
    params = _params()
    values = _settings({"choices": choices, **wanted.model_dump()})
    composed = _settings(now.model_dump())
    elsewhere = {key: values[key] for key, value in composed.items() if values[key] != value and key not in params}
    return {key: values[key] for key, value in params.items() if values[key] != value}, elsewhere


def _params() -> dict[str, Any]:
    return _settings(YAML(typ="safe").load(paths.PARAMS))


def _settings(sections: dict[str, Any]) -> dict[str, Any]:
    """Return {"seed": 1, "train": {"epochs": 2}} as {"seed": 1, "train.epochs": 2}; a setting may be a dictionary."""
    return {
        f"{section}.{key}" if key else section: value
        for section, settings in sections.items()
        for key, value in (settings if isinstance(settings, dict) else {"": settings}).items()
    }
