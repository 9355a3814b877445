"""Finds runs in the MLflow store, and reads what they left there."""

import json
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
"""How a filter of MLflow begins, and no name of a run."""
COMMIT = "mlflow.source.git.commit"
DIRTY = "-dirty"
"""How the commit of a run ends whose code differed from it."""


class Run(NamedTuple):
    """One training: its parameters and tags, the history of its epochs, and its predictions of the compared split."""

    id: str
    name: str
    parameters: dict[str, str]
    tags: dict[str, str]
    history: list[dict[str, float]]
    predicted: "Predictions"

    @property
    def classes(self) -> list[str]:
        """Return the emotions that the network tells apart."""
        return json.loads(self.parameters["data.classes"].replace("'", '"'))


def find(tracker: "Tracker", wanted: list[str], split: str) -> list[Run]:
    """Return the finished trainings that `wanted` names: ids or their beginnings, names, sweeps, or filters.

    A sweep stands for all its jobs. Raises PipelineError where one of them names nothing, or more than one thing.
    """
    found: dict[str, Stored] = {}
    for text in wanted:
        matching = _matching(tracker, text)
        children = [child for run in matching for child in _children(tracker, run)]
        for run in children or matching:
            found.setdefault(run.info.run_id, run)
    trained = [run for run in found.values() if run.info.status == "FINISHED" and "train.epochs" in run.data.params]
    if unfinished := len(found) - len(trained):
        print(f"left out: {unfinished} that are no finished trainings")
    return [read(tracker, run, split) for run in trained]


def _matching(tracker: "Tracker", text: str) -> "list[Stored]":
    quoted = text.replace("'", "''")
    if FILTER.match(text):
        if not (runs := finding.search(tracker, text)):
            raise PipelineError(f"no run matches the filter {text!r}")
        return runs
    if re.fullmatch(r"[0-9a-f]{6,32}", text) and (runs := finding.search(tracker, f"attributes.run_id LIKE '{text}%'")):
        return _only(runs, f"ids begin with {text}")
    if runs := finding.search(tracker, f"attributes.run_name = '{quoted}'"):
        return _only(runs, f"are called {text!r}")
    if runs := finding.search(tracker, f"tags.sweep = '{quoted}'"):
        return runs
    raise PipelineError(
        f"no run {text!r} in {tracker.name}; accepted: an id or its beginning (6 or more letters), a name, "
        "the folder of a sweep, or a filter such as \"params.model.name = 'linear'\""
    )


def _only(runs: "list[Stored]", what: str) -> "list[Stored]":
    if len(runs) > 1:
        ids = ", ".join(run.info.run_id[:8] for run in runs[:10])
        raise PipelineError(f"{len(runs)} runs {what}: name one by its id ({ids}), or give a filter")
    return runs


def _children(tracker: "Tracker", run: "Stored") -> "list[Stored]":
    return finding.search(tracker, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")


def read(tracker: "Tracker", run: "Stored", split: str) -> Run:
    """Return what a stored training left; raises PipelineError where its artifacts are not all there."""
    with tempfile.TemporaryDirectory() as folder:
        history = files.read_csv(finding.artifact(tracker, run, "history.csv", folder))
        predicted = predictions.load(finding.artifact(tracker, run, f"predictions_{split}.npz", folder))
    return Run(run.info.run_id, run.info.run_name, run.data.params, run.data.tags, history, predicted)


def same_but_seed(runs: list[Run]) -> list[list[Run]]:
    """Return the runs in groups of one configuration and code, which differ in their seed alone.

    Of runs that have the seed in common too, the first counts: they are the same computation.
    """
    groups: dict[str, dict[str, Run]] = {}
    for run in runs:
        settings = {key: value for key, value in run.parameters.items() if key != "seed"}
        key = json.dumps([settings, _code(run)], sort_keys=True)
        groups.setdefault(key, {}).setdefault(run.parameters["seed"], run)
    return [list(group.values()) for group in groups.values()]


def _code(run: Run) -> str:
    """Return what only runs of the same code have in common: the tag, or the commit, where no file differed from it.

    Of a run with neither the code is not known: that is its id.
    """
    commit = run.tags.get(COMMIT, DIRTY)
    return run.tags.get("code") or (run.id if commit.endswith(DIRTY) else commit)


def labels(groups: list[list[Run]]) -> list[str]:
    """Return a name for each group: the parameters in which the groups differ, or else the commit or `_name`'s.

    Where the option that was chosen says it all, it stands for its parameters: augment=none. Those that params.yaml
    holds are of no option. The commit counts where the code differs. No two names are the same: the first run's id is
    added where they would be.
    """
    facts = [_facts(group[0]) for group in groups]
    keys = [key for key in dict.fromkeys(k for f in facts for k in f) if len({f.get(key) for f in facts}) > 1]
    of_no_option = flatten(yaml.safe_load(paths.PARAMS.read_text("utf-8")))
    keys = [key for key in keys if key in of_no_option or not _follows(key, key.partition(".")[0], facts)]
    if len({_code(group[0]) for group in groups}) == 1:
        keys = [key for key in keys if key != "commit"]
    names = [", ".join(f"{k}={f[k]}" for k in keys if k in f) or _name(g) for f, g in zip(facts, groups, strict=True)]
    return [
        f"{name} ({group[0].id[:8]})" if names.count(name) > 1 else name
        for name, group in zip(names, groups, strict=True)
    ]


def _name(group: list[Run]) -> str:
    """Return what to call a group that nothing tells from others: several seeds have no run's name in common."""
    return group[0].name if len(group) == 1 else group[0].parameters.get("model.name", group[0].name)


def _facts(run: Run) -> dict[str, Any]:
    settings = {key: value for key, value in run.parameters.items() if key != "seed"}
    groups = {key.partition(".")[0] for key in settings if "." in key}
    chosen = {group: run.tags[f"choice.{group}"] for group in sorted(groups) if f"choice.{group}" in run.tags}
    commit = run.tags.get(COMMIT, "unknown")
    return chosen | settings | {"commit": commit[:7] + (DIRTY if commit.endswith(DIRTY) else "")}


def _follows(key: str, group: str, facts: list[dict[str, Any]]) -> bool:
    """Tell whether the option that was chosen of `group` decides the value of `key`, in all of `facts`."""
    pairs = {(f.get(group), f.get(key)) for f in facts}
    return key != group and all(group in f for f in facts) and len(pairs) == len({option for option, _ in pairs})
