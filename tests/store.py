"""A store of runs as train and evaluate leave them, made without training."""

import numpy as np

from pipeline.core import files, paths
from pipeline.core.schema import Tracking
from pipeline.metrics import predictions
from pipeline.tracking.tracker import Tracker
from tests.conftest import Project

CLASSES = ["angry", "happy", "sad"]
IMAGES = 600


class Store:
    """A project's MLflow store, and trainings that stand in it as train and evaluate would have left them."""

    def __init__(self, project: Project, experiment: str = "fer2013"):
        self.project = project
        # The tracker writes to this project's mlruns/, as a process started in it would.
        before, paths.MLRUNS = paths.MLRUNS, project.path("mlruns")
        self.tracker = Tracker(Tracking(uri=None, experiment=experiment))
        paths.MLRUNS = before
        self.labels = np.random.default_rng(0).integers(0, 3, IMAGES)

    def add(self, name: str, accuracy: float, seed: int = 1, splits=("val",), digest="a" * 64, tags=None, **parameters):
        """Add a training that gets the given share of images right: the first ones, but for some noise by seed."""
        rng = np.random.default_rng(seed)
        right = np.arange(IMAGES) + rng.normal(0, 10, IMAGES) < accuracy * IMAGES
        chosen = np.where(right, self.labels, (self.labels + 1) % 3)
        probabilities = np.full((IMAGES, 3), 0.1, np.float32)
        probabilities[np.arange(IMAGES), chosen] = 0.8
        given = {"data": {"classes": CLASSES}, "train": {"epochs": 2}, "seed": seed, **parameters}
        tags = {"data": "fer2013", "data_digest": digest, "mlflow.source.git.commit": "c0ffee1" * 5, **(tags or {})}
        run_id = self.tracker.create(name, given, tags)
        folder = self.project.path("made")
        predicted = predictions.Predictions(probabilities, self.labels)
        saved = [folder / f"predictions_{split}.npz" for split in splits]
        for file in saved:
            predictions.save(file, predicted)
        keys = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second")
        rows = [{"epoch": e, "time": 1.8e9 + e, **dict.fromkeys(keys, accuracy * e / 2)} for e in (1, 2)]
        files.write_csv(folder / "history.csv", rows)
        self.tracker.epochs.log(run_id, rows)
        with self.tracker.active(run_id):
            self.tracker.log_files(run_id, [*saved, folder / "history.csv"])
        return run_id
