"""The curves of a training: its epochs, logged beside it."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from pipeline.tracking.failures import failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "images_per_second")


class Epochs:
    """Logs epochs to a store."""

    def __init__(self, client: "MlflowClient", name: str):
        """Log by `client`; `name` is what warnings call its store."""
        self._client = client
        self._name = name
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="epochs")
        self._following: Future[None] | None = None
        self._logged: Counter[str] = Counter()

    def follow(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log the newest epochs of `history` beside the training, which does not wait for a store that is slow or away.

        What the store does not take is reported, and goes with a later epoch, or with `log` at the end.
        """
        if self._following is None or self._following.done():
            self._following = self._beside.submit(self._log_new, run_id, history[self._logged[run_id] :])

    def log(self, run_id: str, history: list[dict[str, float]]) -> None:
        """Log all epochs in `history`; logging an epoch again changes nothing."""
        if self._following is not None and not self._following.done():
            self._following.result()  # a store that does not answer is waited for once
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
        for start in range(0, len(metrics), 1000):  # the most that MLflow takes at once
            self._client.log_batch(run_id, metrics=metrics[start : start + 1000])
