"""Copies runs that have ended, with their artifacts and models, and the versions of registered models.

A copy keeps the id of its original in a tag. Its end is written last: a copy that is RUNNING was interrupted, and the
next merge replaces it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient, artifacts
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Param, Run, RunTag, ViewType

from pipeline.core.progress import progress
from pipeline.core.redact import redact
from pipeline.core.schema import Tracking
from pipeline.tracking import store
from pipeline.tracking.tracker import Tracker

ORIGIN = "pipeline.merged_from"
_ONE_STORE = ("pipeline.", "mlflow.modelVersions")  # tags without a meaning in another store
_ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")  # of a run or of a logged model


class Merge:
    """Copies what the store `theirs` has and the store `ours` lacks; `notes` are for the user."""

    def __init__(self, theirs: MlflowClient, ours: MlflowClient):
        """Look up what is here already."""
        self._theirs, self._ours = theirs, ours
        self._origins, here = _origins(theirs), {origin: own for own, origin in _origins(ours).items()}
        self._ids = {own: here[origin] for own, origin in self._origins.items() if origin in here}
        self._running: set[str] = set()
        self.copied = self.known = 0
        self.notes: list[str] = []

    def copy_runs(self, tracking: Tracking) -> None:
        """Copy the runs that have ended to the experiments of the same names in the store `tracking`."""
        for experiment in _pages(self._theirs.search_experiments):
            there, folder = [experiment.experiment_id], store.local(experiment.artifact_location)
            runs = list(_pages(self._theirs.search_runs, there, order_by=["attributes.start_time"]))  # parents first
            if runs and folder and not folder.exists():
                self.notes.append(f"{len(runs)} runs of {experiment.name} are not copied: {folder} is missing")
            elif runs:
                here = Tracker(tracking.model_copy(update={"experiment": experiment.name})).experiment_id
                with progress(f"copying {experiment.name}", len(runs), "runs") as advance:
                    for run in runs:
                        self._merge(run, here)
                        advance(1)
        if self._running:
            later = "the same command copies them when they have ended"
            self.notes.append(f"{len(self._running)} runs are still running there; {later}")

    def copy_versions(self) -> None:
        """Copy the versions of copied models, under the next numbers, and their aliases that are free here."""
        for model in _pages(self._theirs.search_registered_models):
            named = f"name = '{model.name}'"
            if not (found := self._ours.search_registered_models(named)):
                found = [self._ours.create_registered_model(model.name, model.tags, model.description)]
            here = {version.source: version.version for version in _pages(self._ours.search_model_versions, named)}
            for version in _pages(self._theirs.search_model_versions, named, order_by=["version_number ASC"]):
                source, label = self._renamed(version.source), f"version {version.version} of model {model.name}"
                if version.source.removeprefix("models:/") not in self._ids:
                    self.notes.append(f"{label} is not copied: no copied run has {redact(version.source)}")
                elif source not in here:
                    tags, options = self._translated(version.tags), {"description": version.description}
                    options["model_id"] = source.removeprefix("models:/")
                    here[source] = self._ours.create_model_version(model.name, source, tags=tags, **options).version
            for alias in model.aliases:
                there = self._theirs.get_model_version_by_alias(model.name, alias)
                number, kept = here.get(self._renamed(there.source)), found[0].aliases.get(alias)
                if number and not kept:
                    self._ours.set_registered_model_alias(model.name, alias, str(number))
                elif number and number != kept:
                    self.notes.append(f"alias {alias} of model {model.name} stays with version {kept}, not {number}")

    def _merge(self, run: Run, experiment: str) -> None:
        if run.info.run_id in self._ids:
            self.known += 1
        elif run.info.status in ("RUNNING", "SCHEDULED") or run.data.tags.get("mlflow.parentRunId") in self._running:
            self._running.add(run.info.run_id)
        else:
            origin = self._origins.get(run.info.run_id, run.info.run_id)
            for interrupted in self._ours.search_runs([experiment], f"tags.`{ORIGIN}` = '{origin}'"):
                for model in _models(self._ours, interrupted):
                    self._ours.delete_logged_model(model.model_id)
                self._ours.delete_run(interrupted.info.run_id)
            self._copy_run(run, origin, experiment)
            self.copied += 1

    def _copy_run(self, run: Run, origin: str, experiment: str) -> None:
        ours, there = self._ours, run.info.run_id
        here = ours.create_run(experiment, run.info.start_time, {ORIGIN: origin}, run.info.run_name).info.run_id
        self._ids[there] = here
        for model in _models(self._theirs, run):
            self._copy_model(model, experiment, here)
        points = [point for key in run.data.metrics for point in self._theirs.get_metric_history(there, key)]
        params = [Param(*param) for param in run.data.params.items()]
        ours.log_batch(here, points, params, [RunTag(*tag) for tag in self._translated(run.data.tags).items()])
        ours.log_inputs(here, run.inputs.dataset_inputs)
        made = [LoggedModelOutput(self._ids.get(m.model_id, ""), m.step) for m in run.outputs.model_outputs]
        ours.log_outputs(here, [output for output in made if output.model_id])
        with self._files(run.info.artifact_uri) as folder:
            ours.log_artifacts(here, str(folder))
        ours.set_terminated(here, run.info.status, run.info.end_time)

    def _copy_model(self, model: LoggedModel, experiment: str, run_id: str) -> None:
        ours = self._ours
        tags = self._translated(model.tags) | {ORIGIN: self._origins.get(model.model_id, model.model_id)}
        copy = ours.create_logged_model(experiment, model.name, run_id, tags, model.params, model.model_type)
        self._ids[model.model_id] = copy.model_id
        of_copy = {"model_id": copy.model_id, "run_id": run_id}
        points = [Metric(**dict(m) | of_copy) for m in model.metrics or () if m.run_id == model.source_run_id]
        ours.log_batch(run_id, points)
        with self._files(model.artifact_location) as folder:
            if (described := folder / "MLmodel").exists():
                text = described.read_text().replace(model.artifact_location, copy.artifact_location)
                described.write_text(self._renamed(text))
            ours.log_model_artifacts(copy.model_id, str(folder))
        ours.finalize_logged_model(copy.model_id, model.status)

    def _renamed(self, text: str) -> str:
        """Replace the ids of runs and models in `text` by those of their copies."""
        return _ID.sub(lambda found: self._ids.get(found[0], found[0]), text)

    def _translated(self, tags: dict[str, str]) -> dict[str, str]:
        return {key: self._renamed(value) for key, value in tags.items() if not key.startswith(_ONE_STORE)}

    @contextmanager
    def _files(self, address: str) -> Iterator[Path]:
        """Yield a folder with a copy of their artifacts at `address`."""
        with TemporaryDirectory() as folder:
            there = {"artifact_uri": address, "tracking_uri": self._theirs.tracking_uri}
            found = artifacts.list_artifacts(**there)
            yield Path(artifacts.download_artifacts(**there, dst_path=folder) if found else folder)


def _pages(search: Callable, *arguments: Any, **options: Any) -> Iterator[Any]:
    page = search(*arguments, **options)
    yield from page
    while page.token:
        page = search(*arguments, **options, page_token=page.token)
        yield from page


def _models(client: MlflowClient, run: Run) -> list[LoggedModel]:
    of_run = f"source_run_id = '{run.info.run_id}'"
    return list(_pages(client.search_logged_models, [run.info.experiment_id], of_run))


def _origins(client: MlflowClient) -> dict[str, str]:
    """Return the ids of the runs and models of a store, but of interrupted copies, with those of their originals."""
    experiments = [experiment.experiment_id for experiment in _pages(client.search_experiments, ViewType.ALL)]
    found: dict[str, dict[str, str]] = {}
    for run in _pages(client.search_runs, experiments, run_view_type=ViewType.ALL):
        if run.info.status != "RUNNING" or "pipeline.host_and_pid" in run.data.tags:  # or a training resumed in a copy
            found[run.info.run_id] = run.data.tags
    found |= {model.model_id: model.tags for model in _pages(client.search_logged_models, experiments)}
    return {own: tags.get(ORIGIN, own) for own, tags in found.items()}
