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
    from mlflow.entities import LoggedModel, Run

ORIGIN = "pipeline.merged_from"
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
            there, folder = [experiment.experiment_id], store.local(experiment.artifact_location)
            if not (runs := list(pages(self._theirs.search_runs, there))):
                continue
            if folder and not folder.exists():
                self.notes.append(f"{len(runs)} runs of {experiment.name} are not copied: {folder} is missing")
                continue
            models = defaultdict(list)
            for model in pages(self._theirs.search_logged_models, there):
                models[model.source_run_id].append(model)
            here = Tracker(tracking.model_copy(update={"experiment": experiment.name})).experiment_id
            runs.sort(key=lambda run: ("mlflow.parentRunId" in run.data.tags, run.info.start_time))  # parents first
            with progress(f"copying {experiment.name}", len(runs), "runs") as advance:
                for run in runs:
                    self._copy_run(run, models[run.info.run_id], here)
                    advance(1)

    def renamed(self, text: str) -> str:
        """Replace the ids of runs and models in `text` by those of their copies."""
        return ID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def tags(self, tags: dict[str, str], origin: str) -> dict[str, str]:
        """Return `tags` of `origin` for its copy: without those that hold in one store alone."""
        one_store = ("pipeline.", "mlflow.modelVersions")
        return {k: self.renamed(v) for k, v in tags.items() if not k.startswith(one_store)} | {ORIGIN: origin}

    def _copy_run(self, run: "Run", models: "list[LoggedModel]", experiment: str) -> None:
        origin = run.data.tags.get(ORIGIN, run.info.run_id)
        copy = self._runs.get(origin)
        deleted = copy is not None and copy.info.lifecycle_stage == "deleted"
        known = deleted or (copy is not None and (copy.info.end_time or 0) >= (run.info.end_time or 1))
        copy = copy or self._ours.create_run(experiment, run.info.start_time, {ORIGIN: origin}, run.info.run_name)
        self.ids[run.info.run_id] = copy.info.run_id
        for model in models:
            self._copy_model(model, copy, known)
        if known:
            self.known += 1
        else:
            self._complete(run.info.run_id, copy.info.run_id, origin)

    def _copy_model(self, model: "LoggedModel", run: "Run", known: bool) -> None:
        """Copy a model of the run whose copy is `run`; if that one is `known`, a missing model was deleted here."""
        from mlflow.entities import Metric

        origin = model.tags.get(ORIGIN, model.model_id)
        copy = self._models.get(origin)
        if not copy and not known:
            tags, made_by = self.tags(model.tags, origin), (run.info.experiment_id, model.name, run.info.run_id)
            copy = self._ours.create_logged_model(*made_by, tags, model.params, model.model_type)
        if copy:
            self.ids[model.model_id] = copy.model_id
        if known or copy.status != "PENDING":
            return
        points = [
            Metric(m.key, m.value, m.timestamp, m.step, copy.model_id, m.dataset_name, m.dataset_digest)
            for m in model.metrics or ()
            if m.run_id == model.source_run_id
        ]
        self._ours.log_batch(run.info.run_id, points)
        with self._files(model.artifact_location) as folder:
            if (described := folder / "MLmodel").exists():
                text = described.read_text().replace(model.artifact_location, copy.artifact_location)
                described.write_text(self.renamed(text))
            self._ours.log_model_artifacts(copy.model_id, str(folder))
        if model.status != "PENDING":
            self._ours.finalize_logged_model(copy.model_id, model.status)

    def _complete(self, there: str, here: str, origin: str) -> None:
        """Add what the run `here` lacks of the run `there`, and at last its end, if it has ended."""
        from mlflow.entities import LoggedModelInput, LoggedModelOutput, Param, RunTag

        ours, run, copy = self._ours, self._theirs.get_run(there), self._ours.get_run(here)
        points = [point for key in run.data.metrics for point in self._theirs.get_metric_history(there, key)]
        params, tags = [Param(*param) for param in run.data.params.items()], self.tags(run.data.tags, origin)
        ours.log_batch(here, points, params, [RunTag(*tag) for tag in tags.items()])
        if "error" in copy.data.tags.keys() - tags.keys():  # of an end that was none
            ours.delete_tag(here, "error")
        linked = {model.model_id for model in (*copy.inputs.model_inputs, *copy.outputs.model_outputs)}
        new = {there: here for there, here in self.ids.items() if here not in linked}
        used = [LoggedModelInput(new[m.model_id]) for m in run.inputs.model_inputs if m.model_id in new]
        made = [LoggedModelOutput(new[m.model_id], m.step) for m in run.outputs.model_outputs if m.model_id in new]
        ours.log_inputs(here, run.inputs.dataset_inputs, used)
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
