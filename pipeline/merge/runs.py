"""Copies runs with their artifacts and logged models; a tag of the copy holds the id of the original."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.core.progress import progress
from pipeline.core.schema import Tracking
from pipeline.tracking import store
from pipeline.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, LoggedModel, Metric, Run

ORIGIN = "pipeline.merged_from"
VERSIONS = "mlflow.modelVersions"
ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")
"""The id of a run or of a logged model."""


def pages(search: Callable, *arguments: Any, **options: Any) -> Iterator[Any]:
    """Yield the results of all pages of an MLflow search."""
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


class Runs:
    """Copies runs; `ids` maps the ids of their runs and models to those here, `notes` are for the user."""

    def __init__(self, theirs: "MlflowClient", ours: "MlflowClient"):
        """Look up the copies that are here, and the originals of which `theirs` may have copies."""
        from mlflow.entities import ViewType

        self.copied = self.known = self.running = 0
        self.ids: dict[str, str] = {}
        self.notes: list[str] = []
        self._theirs, self._ours = theirs, ours
        experiments = [found.experiment_id for found in pages(ours.search_experiments, ViewType.ALL)]
        runs = pages(ours.search_runs, experiments, run_view_type=ViewType.ALL)
        self._runs: dict[str, Run] = {run.data.tags.get(ORIGIN, run.info.run_id): run for run in runs}
        models = pages(ours.search_logged_models, experiments)
        self._models: dict[str, LoggedModel] = {model.tags.get(ORIGIN, model.model_id): model for model in models}

    def copy(self, tracking: Tracking) -> None:
        """Copy runs to the experiments of the same names in the store `tracking`."""
        for experiment in pages(self._theirs.search_experiments):
            runs = list(pages(self._theirs.search_runs, [experiment.experiment_id]))
            folder = store.local(experiment.artifact_location)
            if runs and folder and not folder.exists():
                self.notes.append(f"{len(runs)} runs of {experiment.name} are not copied: {folder} is missing")
            elif runs:
                here = Tracker(tracking.model_copy(update={"experiment": experiment.name})).experiment_id
                self._copy_runs(runs, experiment, here)

    def renamed(self, text: str) -> str:
        """Replace the ids of runs and models in `text` by those of their copies."""
        return ID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def tags(self, tags: dict[str, str], origin: str) -> dict[str, str]:
        """Return `tags` of `origin` for its copy: without those that hold in one store alone."""
        kept = {key: value for key, value in tags.items() if key != VERSIONS and not key.startswith("pipeline.")}
        return {key: self.renamed(value) for key, value in kept.items()} | {ORIGIN: origin}

    def _copy_runs(self, runs: "list[Run]", experiment: "Experiment", here: str) -> None:
        models, scores = defaultdict(list), defaultdict(list)
        for model in pages(self._theirs.search_logged_models, [experiment.experiment_id]):
            models[model.source_run_id].append(model)
            for metric in model.metrics or ():
                scores[metric.run_id].append(metric)
        runs.sort(key=lambda run: ("mlflow.parentRunId" in run.data.tags, run.info.start_time))  # parents first
        with progress(f"copying {experiment.name}", len(runs), "runs") as advance:
            for run in runs:
                self._copy_run(run, models[run.info.run_id], scores[run.info.run_id], here)
                advance(1)

    def _copy_run(self, run: "Run", models: "list[LoggedModel]", scores: "list[Metric]", experiment: str) -> None:
        origin = run.data.tags.get(ORIGIN, run.info.run_id)
        copy = self._runs.get(origin)
        known = copy is not None and (
            copy.info.lifecycle_stage == "deleted" or (copy.info.end_time or 0) >= (run.info.end_time or 1)
        )
        copy = copy or self._ours.create_run(experiment, run.info.start_time, {ORIGIN: origin}, run.info.run_name)
        self.ids[run.info.run_id] = copy.info.run_id
        for model in models:
            self._copy_model(model, copy, known)
        if known:
            self.known += 1
        else:
            self._complete(run.info.run_id, copy.info.run_id, origin, scores)

    def _copy_model(self, model: "LoggedModel", run: "Run", known: bool) -> None:
        """Copy a model of the run whose copy is `run`; if that one is `known`, a missing model was deleted here."""
        origin = model.tags.get(ORIGIN, model.model_id)
        copy = self._models.get(origin)
        if not copy and not known:
            tags, made_by = self.tags(model.tags, origin), (run.info.experiment_id, model.name, run.info.run_id)
            copy = self._ours.create_logged_model(*made_by, tags, model.params, model.model_type)
        if copy:
            self.ids[model.model_id] = copy.model_id
        if known or not copy or copy.status != "PENDING":
            return
        with self._files(model.artifact_location) as folder:
            if (described := folder / "MLmodel").exists():
                text = described.read_text().replace(model.artifact_location, copy.artifact_location)
                described.write_text(self.renamed(text))
            self._ours.log_model_artifacts(copy.model_id, str(folder))
        if model.status != "PENDING":
            self._ours.finalize_logged_model(copy.model_id, model.status)

    def _complete(self, there: str, here: str, origin: str, scores: "list[Metric]") -> None:
        """Add what the run `here` lacks of the run `there`, and at last its end, if it has ended.

        `scores` are the metrics that `there` logged for models.
        """
        from mlflow.entities import LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag

        ours, run, copy = self._ours, self._theirs.get_run(there), self._ours.get_run(here)
        points = [point for key in run.data.metrics for point in self._theirs.get_metric_history(there, key)]
        points += [
            Metric(m.key, m.value, m.timestamp, m.step, self.ids[m.model_id], m.dataset_name, m.dataset_digest)
            for m in scores
            if m.model_id in self.ids
        ]
        tags = self.tags(run.data.tags, origin)
        params = [Param(*param) for param in run.data.params.items()]
        ours.log_batch(here, points, params, [RunTag(*tag) for tag in tags.items()])
        if "error" in copy.data.tags.keys() - tags.keys():  # of an end that was none
            ours.delete_tag(here, "error")
        linked = {model.model_id for model in (*copy.inputs.model_inputs, *copy.outputs.model_outputs)}
        new = {there: here for there, here in self.ids.items() if here not in linked}
        used = [LoggedModelInput(new[m.model_id]) for m in run.inputs.model_inputs if m.model_id in new]
        ours.log_inputs(here, run.inputs.dataset_inputs, used)
        made = [LoggedModelOutput(new[m.model_id], m.step) for m in run.outputs.model_outputs if m.model_id in new]
        ours.log_outputs(here, made)
        with self._files(run.info.artifact_uri) as folder:
            ours.log_artifacts(here, str(folder))
        if run.info.status in ("RUNNING", "SCHEDULED"):
            self.running += 1
        else:
            ours.set_terminated(here, run.info.status, run.info.end_time)
            self.copied += 1

    @contextmanager
    def _files(self, address: str) -> Iterator[Path]:
        """Yield a folder with a copy of their artifacts at `address`."""
        from mlflow import artifacts

        with TemporaryDirectory() as folder:
            there = {"artifact_uri": address, "tracking_uri": self._theirs.tracking_uri}
            found = artifacts.list_artifacts(**there)
            yield Path(artifacts.download_artifacts(**there, dst_path=folder) if found else folder)
