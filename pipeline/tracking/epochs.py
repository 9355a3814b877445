"""Logs the metrics of each epoch in a background thread."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

CURVES = {
    "train/loss": "loss",
    "train/accuracy": "accuracy",
    "train/learning_rate": "learning_rate",
    "train/images_per_second": "images_per_second",
    "val/epoch_loss": "val_loss",
    "val/epoch_accuracy": "val_accuracy",
}
"""The names of an epoch's metrics in MLflow, and in the history."""
ROWS = 100
"""Epochs in one call: MLflow accepts 1,000 metrics."""


class Epochs:
    """Logs the metrics of epochs to a store."""

    def __init__(self, client: "MlflowClient", name: str):
        """Log with `client`; `name` is the name of the store in warnings."""
        self._client = client
        self._name = name
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="epochs")
        self._pending: Future[None] | None = None
        self._logged: dict[str, int] = {}

    def follow(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the new epochs of `history` in the background: training does not wait for a slow or unreachable store.

        A failure prints a warning; these epochs are logged with a later epoch, or by `log` at the end.
        """
        if self._pending is None or self._pending.done():
            self._pending = self._executor.submit(self._try, run_id, history)

    def log(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the epochs of `history` that the store lacks."""
        if self._pending is not None and not self._pending.done():
            self._pending.result()  # raises if the store fails, without a second wait
        self._log(run_id, history)

    def _try(self, run_id: str, history: list[dict[str, float]]) -> None:
        try:
            self._log(run_id, history)
        except failures() as error:
            print(f"warning: metrics not logged to {self._name}: {reason(error)}")
            raise

    def _log(self, run_id: str, history: list[dict[str, float]]) -> None:
        if run_id not in self._logged:  # an earlier start of the training may have logged some
            self._logged[run_id] = len(self._client.get_metric_history(run_id, next(iter(CURVES))))
        for row in range(self._logged[run_id], len(history), ROWS):
            end = min(row + ROWS, len(history))
            self._client.log_batch(run_id, metrics=metrics(history[:end], row))
            self._logged[run_id] = end


def metrics(history: list[dict[str, float]], logged: int) -> "list[Metric]":
    """Return the metrics of the epochs of `history` after the first `logged`.

    `val/accuracy` belongs to the saved weights, and is logged when training ends. During training it is the highest so
    far. It comes first, because the UI compares runs by the metric that was logged first.
    """
    from mlflow.entities import Metric

    points = []
    for number, row in enumerate(history[logged:], logged + 1):
        when, best = int(row["time"] * 1000), max(each["val_accuracy"] for each in history[:number])
        if best == row["val_accuracy"]:
            points.append(Metric("val/accuracy", best, when, 0))
        points += [Metric(name, row[key], when, int(row["epoch"])) for name, key in CURVES.items()]
    return points
