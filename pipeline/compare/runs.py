"""Finds runs in the MLflow store, and reads their artifacts."""

import json
import os
import re
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from pipeline.core import files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.nested import flatten
from pipeline.metrics import predictions
from pipeline.tracking import finding

if TYPE_CHECKING:
    from mlflow.entities import Run as Stored

    from pipeline.metrics.predictions import Predictions
    from pipeline.tracking.tracker import Tracker

FILTER = re.compile(r"\s*(tags?|params?|parameters?|metrics?|attributes?|attr|run)\.", re.IGNORECASE)
"""The beginning of an MLflow filter; names of runs do not begin like this."""
COMMIT = "mlflow.source.git.commit"
DIRTY = "-dirty"
"""The end of the commit of a run whose code had uncommitted changes."""


class Run(NamedTuple):
    """A training run: parameters, tags, the history of its epochs, and its predictions on the compared split."""

    id: str
    name: str
    parameters: dict[str, str]
    tags: dict[str, str]
    history: list[dict[str, float]]
    predicted: "Predictions"

    @property
    def classes(self) -> list[str]:
        """Return the classes of the model."""
        return json.loads(self.parameters["data.classes"].replace("'", '"'))


def find(tracker: "Tracker", names: list[str], split: str) -> list[Run]:
    """Return the finished training runs of `names`: beginnings of ids, names, sweeps (all their jobs), or filters.

    Raises PipelineError if one of `names` matches no run, or is ambiguous.
    """
    found: dict[str, Stored] = {}
    for text in names:
        matching = _matching(tracker, text)
        parents = [f"tags.`mlflow.parentRunId` = '{run.info.run_id}'" for run in matching]
        children = [child for parent in parents for child in finding.search(tracker, parent)]
        for run in children or matching:
            found.setdefault(run.info.run_id, run)
    trained = [run for run in found.values() if run.info.status == "FINISHED" and "train.epochs" in run.data.params]
    if unfinished := len(found) - len(trained):
        print(f"not compared: {unfinished} runs that are not finished trainings")
    return [read(tracker, run, split) for run in trained]


def _matching(tracker: "Tracker", text: str) -> "list[Stored]":
    quoted = text.replace("'", "''")
    if FILTER.match(text):
        if not (runs := finding.search(tracker, text)):
            raise PipelineError(f"no run matches the filter {text!r}")
        return runs
    if re.fullmatch(r"[0-9a-f]{6,32}", text) and (runs := finding.search(tracker, f"attributes.run_id LIKE '{text}%'")):
        return _require_one(runs, f"have an id that begins with {text}")
    if runs := finding.search(tracker, f"attributes.run_name = '{quoted}'"):
        return _require_one(runs, f"have the name {text!r}")
    folder = os.path.basename(text.rstrip("/")).replace("'", "''")
    if folder and (runs := finding.search(tracker, f"tags.sweep = '{folder}'")):
        return runs
    raise PipelineError(
        f"no run {text!r} in {tracker.name}; accepted: the beginning of an id (6 or more characters), a name, "
        "the folder of a sweep, or a filter such as \"params.model.name = 'linear'\""
    )


def _require_one(runs: "list[Stored]", what: str) -> "list[Stored]":
    if len(runs) > 1:
        ids = ", ".join(run.info.run_id[:8] for run in runs[:10])
        raise PipelineError(f"{len(runs)} runs {what}; accepted: one of their ids ({ids}), or a filter")
    return runs


def read(tracker: "Tracker", run: "Stored", split: str) -> Run:
    """Return the run with its artifacts; raise PipelineError if an artifact is missing."""
    with tempfile.TemporaryDirectory() as folder:
        history = files.read_csv(finding.artifact(tracker, run, "history.csv", folder))
        predicted = predictions.load(finding.artifact(tracker, run, f"predictions_{split}.npz", folder))
    return Run(run.info.run_id, run.info.run_name, run.data.params, run.data.tags, history, predicted)


def group_seeds(runs: list[Run]) -> list[list[Run]]:
    """Return groups of runs with the same configuration and code, in the order of their seeds.

    Of several runs with the same seed, a group has only the first: the others repeat it.
    """
    groups: dict[str, dict[str, Run]] = {}
    for run in runs:
        settings = {key: value for key, value in run.parameters.items() if key != "seed"}
        key = json.dumps([settings, _code(run)], sort_keys=True)
        groups.setdefault(key, {}).setdefault(run.parameters["seed"], run)
    return [sorted(group.values(), key=lambda run: int(run.parameters["seed"])) for group in groups.values()]


def _code(run: Run) -> str:
    """Return an identifier of the run's code: the tag, or the commit without changes, or the run's id if unknown."""
    commit = run.tags.get(COMMIT, DIRTY)
    return run.tags.get("code") or (run.id if commit.endswith(DIRTY) else commit)


def labels(groups: list[list[Run]]) -> list[str]:
    """Return a unique label for each group: the parameters in which the groups differ, or else the run's name.

    Several seeds have the model's name instead. An option replaces the parameters that it decides: augment=none. The
    parameters of params.yaml belong to no option. The commit is part of the label if the code differs. If two labels
    are equal, they end with the first run's id.
    """
    settings = [_settings(group[0]) for group in groups]
    keys = [key for key in dict.fromkeys(k for s in settings for k in s) if len({s.get(key) for s in settings}) > 1]
    in_params = flatten(yaml.safe_load(paths.PARAMS.read_text("utf-8")))
    keys = [key for key in keys if key in in_params or not _is_decided(key, key.partition(".")[0], settings)]
    if len({_code(group[0]) for group in groups}) == 1:
        keys = [key for key in keys if key != "commit"]
    own = [group[0].name if len(group) == 1 else group[0].parameters["model.name"] for group in groups]
    names = [", ".join(f"{k}={s[k]}" for k in keys if k in s) or name for s, name in zip(settings, own, strict=True)]
    ids = [group[0].id[:8] for group in groups]
    return [f"{name} ({i})" if names.count(name) > 1 else name for name, i in zip(names, ids, strict=True)]


def _settings(run: Run) -> dict[str, Any]:
    parameters = {key: value for key, value in run.parameters.items() if key != "seed"}
    groups = {key.partition(".")[0] for key in parameters if "." in key}
    chosen = {group: run.tags[f"choice.{group}"] for group in sorted(groups) if f"choice.{group}" in run.tags}
    commit = run.tags.get(COMMIT, "unknown")
    return chosen | parameters | {"commit": commit[:7] + (DIRTY if commit.endswith(DIRTY) else "")}


def _is_decided(key: str, group: str, settings: list[dict[str, Any]]) -> bool:
    """Return whether the option of `group` decides the value of `key` in all of `settings`."""
    pairs = {(s.get(group), s.get(key)) for s in settings}
    return key != group and all(group in s for s in settings) and len(pairs) == len({option for option, _ in pairs})
