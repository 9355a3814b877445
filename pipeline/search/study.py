"""The Optuna study of a search, in a file that several processes share."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.search.space import Search

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.storages import JournalStorage


class Study:
    """The study in `folder`; any number of processes begin and end its trials."""

    def __init__(self, folder: Path, search: Search):
        """Open the study; create it if it is missing.

        Raises PipelineError if its file is damaged.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, stopping = search, search.stopping
        self._processes, self._process = folder / "processes", uuid.uuid4().hex
        self.alive = file_lock(self._processes / self._process)
        """Held while this process runs trials: it tells other processes that these trials are running."""
        self.lock = file_lock(folder / "turn.lock")
        """Held while trials are counted and begun, and while the table is written."""
        with self.lock:
            self._study = optuna.create_study(
                storage=_storage(folder / "study.log"),
                study_name=folder.name,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(stopping.startup_trials, stopping.warmup_epochs)
                if stopping
                else optuna.pruners.NopPruner(),
            )

    def begin(self) -> "Trial | None":
        """Return the next trial, with its overrides as an attribute; None if no more trials are needed."""
        import optuna
        from optuna.trial import TrialState

        with self.lock:
            self._end_dead_trials()
            trials = self._study.get_trials(deepcopy=False)
            taken = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
            if sum(trial.state in taken for trial in trials) >= self._search.trials:
                return None
            # A seed per trial: with one seed, each process and each start would draw the same values again.
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=self._search.random_trials, seed=self._search.seed + len(trials), constant_liar=True
            )
            trial = self._study.ask()
            trial.set_user_attr("process", self._process)
            trial.set_user_attr("overrides", self._search.draw(trial))
            return trial

    def _end_dead_trials(self) -> None:
        """End the trials whose process has ended, and queue their values again: the trainings resume."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._is_alive(trial.user_attrs.get("process", "unknown")):
                self._study.enqueue_trial(trial.params)
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _is_alive(self, process: str) -> bool:
        try:
            with FileLock(self._processes / process, timeout=0):
                return False
        except Timeout:
            return True

    def end(self, trial: "Trial", result: dict[str, Any]) -> None:
        """End `trial` with the result of its job."""
        from optuna.trial import TrialState

        if result["status"] == "FINISHED":
            self._study.tell(trial, result["val"]["accuracy"])
        elif "stopped" in result:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr("error", result["error"])
            self._study.tell(trial, state=TrialState.FAIL)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each trial, without those that were queued again after a kill.

        The val accuracy is the objective of a finished trial, otherwise the highest so far, or None.
        """
        states = {"COMPLETE": "finished", "PRUNED": "stopped", "RUNNING": "running", "FAIL": "failed"}
        return [
            {
                "trial": trial.number + 1,
                "state": states[trial.state.name],
                "configuration": ", ".join(trial.user_attrs.get("overrides", [])),
                "val_accuracy": trial.value
                if trial.state.name == "COMPLETE"
                else max(trial.intermediate_values.values(), default=None),
                "epochs": len(trial.intermediate_values),
                "error": trial.user_attrs.get("error"),
            }
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.name in ("COMPLETE", "PRUNED", "RUNNING") or "error" in trial.user_attrs
        ]


def _storage(file: Path) -> "JournalStorage":
    """Return Optuna's storage in `file`, without an incomplete last line, whose writer was killed."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    # Optuna's own lock remains after a kill, and then blocks for half a minute.
    lock = file_lock(file.with_name("study.lock"))
    with lock:
        if file.exists():
            os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
    try:
        return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise PipelineError(
            f"{file} is damaged: {type(error).__name__}: {error}; restore a copy of it, or move it away: the same "
            "command then starts a new study, and does not repeat the finished trainings in its folder"
        ) from error
