"""Logs the metrics of each epoch in a background thread."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "images_per_second")


class Epochs:
    """Logs the metrics of epochs to a store."""

    def __init__(self, client: "MlflowClient", name: str):
        """Log with `client`; `name` is the name of the store in warnings."""
        self._client = client
        self._name = name
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="epochs")
        self._pending: Future[None] | None = None
        self._logged: Counter[str] = Counter()

    def follow(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the new epochs of `history` in the background: training does not wait for a slow or unreachable store.

        A failure prints a warning; these epochs are logged with a later epoch, or by `log` at the end.
        """
        if self._pending is None or self._pending.done():
            self._pending = self._executor.submit(self._log_new, run_id, history[self._logged[run_id] :])

    def log(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log all epochs of `history`; logging an epoch twice has no effect."""
        if self._pending is not None and not self._pending.done():
            self._pending.result()  # raises if the store fails, without a second wait
        self._log(run_id, history)

    def _log_new(self, run_id: str, rows: list[dict[str, float]]) -> None:
        try:
            self._log(run_id, rows)
            self._logged[run_id] = int(rows[-1]["epoch"])
        except failures() as error:
            print(f"warning: metrics not logged to {self._name}: {reason(error)}")
            raise

    def _log(self, run_id: str, rows: list[dict[str, float]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(key, row[key], int(row["time"] * 1000), int(row["epoch"])) for row in rows for key in EPOCH_METRICS
        ]
        for start in range(0, len(metrics), 1000):  # MLflow's limit for one call
            self._client.log_batch(run_id, metrics=metrics[start : start + 1000])
