"""The Optuna study of a search, in a file that several processes share."""

import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipeline.core.errors import PipelineError
from pipeline.core.locks import file_lock
from pipeline.search.space import Search

if TYPE_CHECKING:
    from optuna import Trial


class Study:
    """The study in `folder`; any number of processes begin and end its trials."""

    def __init__(self, folder: Path, search: Search):
        """Open the study; create it if it is missing.

        Raises PipelineError if its file is damaged.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.file = folder / "study.log"
        self.lock = file_lock(folder / "turn.lock")
        """Held while trials are counted and begun, and while the table is written."""
        self._search = search
        self._processes = folder / "processes"
        self._process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        stopping = search.stopping
        with self.lock:
            self._study = optuna.create_study(
                storage=_storage(self.file),
                study_name=folder.name,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(stopping.startup_trials, stopping.warmup_epochs)
                if stopping
                else optuna.pruners.NopPruner(),
            )

    @contextmanager
    def participate(self) -> Iterator[None]:
        """Hold the lock that tells other processes that this one is alive, and its trials are running."""
        with file_lock(self._processes / self._process):
            yield

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
            if not self._is_alive(trial.user_attrs.get("process", "")):
                self._study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _is_alive(self, process: str) -> bool:
        lock = self._processes / process
        if not lock.is_file():
            return False
        try:
            with FileLock(lock, timeout=0):
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
        rows = []
        for trial in self._study.get_trials(deepcopy=False):
            error = trial.user_attrs.get("error")
            state = {"COMPLETE": "finished", "PRUNED": "stopped", "RUNNING": "running"}.get(trial.state.name)
            if state or error:
                epochs = trial.intermediate_values
                best = trial.value if state == "finished" else max(epochs.values(), default=None)
                rows.append(
                    {
                        "trial": trial.number + 1,
                        "state": state or "failed",
                        "configuration": ", ".join(trial.user_attrs.get("overrides", [])),
                        "val_accuracy": best,
                        "epochs": len(epochs),
                        "error": error,
                    }
                )
        return rows


def _storage(file: Path) -> Any:
    """Return Optuna's storage in `file`; repair its last line, which is incomplete if its writer was killed."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    # Optuna's own lock remains after a kill, and then blocks for half a minute.
    lock = file_lock(file.with_name("study.lock"))
    with lock:
        _repair(file)
    try:
        return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise PipelineError(f"{file} is damaged: {type(error).__name__}: {error}; {_REMEDY}") from error


def _repair(file: Path) -> None:
    """Complete or remove an incomplete last line; raise PipelineError if another line cannot be read."""
    content = file.read_bytes() if file.exists() else b""
    *lines, last = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not _is_entry(line):
            raise PipelineError(f"{file} is damaged in line {number}; {_REMEDY}")
    if last:
        with open(file, "r+b") as opened:
            opened.seek(0, os.SEEK_END)
            if _is_entry(last):
                opened.write(b"\n")
            else:
                opened.truncate(len(content) - len(last))


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


_REMEDY = (
    "restore a copy of it, or move it away: the same command then starts a new study, "
    "and does not repeat the finished trainings in its folder"
)
