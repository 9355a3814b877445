"""All paths of the project."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The workspace: the checkout, or the copy of it in which DVC runs an experiment."""

HOME = Path(os.environ.get("DVC_ROOT", ROOT)).resolve()
"""The checkout itself, also in a copy: there DVC_ROOT, which DVC sets, has its path."""

CONF = ROOT / "conf"
PARAMS = ROOT / "params.yaml"
README = ROOT / "README.md"

MLRUNS = HOME / "mlruns"
CHECKPOINTS = HOME / "outputs" / "checkpoints"
TORTURE = ROOT / "results" / "torture.json"


def raw(data: str) -> Path:
    """Return the folder of the downloaded archive of dataset `data`."""
    return ROOT / "data" / "raw" / data


def own(data: str) -> Path:
    """Return the archive that `pipeline.prepare` writes for dataset `data`."""
    return HOME / "data" / "own" / f"{data}.zip"


def data_lock(data: str) -> Path:
    """Return the lock to hold while writing the archive or the arrays of dataset `data`."""
    return ROOT / "outputs" / f"data-{data}.lock"


def arrays(data: str) -> Path:
    """Return the folder of the decoded arrays of dataset `data`."""
    return ROOT / "data" / "arrays" / data


def experiment(name: str) -> Path:
    """Return the file with the results of the experiment `name`."""
    return ROOT / "results" / "experiments" / f"{name}.json"


def weights(name: str) -> Path:
    """Return the file with the model of the experiment `name`."""
    return ROOT / "weights" / f"{name}.h5"


def ablation(name: str) -> Path:
    """Return the file with the results of the ablation `name`."""
    return ROOT / "results" / "ablations" / f"{name}.json"


CORRUPTIONS = ROOT / "results" / "corruptions.json"
"""The accuracies of the models in weights/ on corrupted images of test."""


class Outputs:
    """The files that stages write below `root`: the workspace, or the folder of a single run or a sweep's job."""

    def __init__(self, root: Path = ROOT):
        """Set the paths; create nothing."""
        self.root = root
        self.model = root / "models" / "model.h5"
        self.results = root / "results"
        self.run = self.results / "run.json"
        self.val = self.results / "predictions_val.npz"
        self.history = self.results / "history.csv"
        self.audit = self.results / "audit.json"
        self.metrics = self.results / "metrics.json"
        self.details = self.results / "details.json"
        self.speed = self.results / "speed.json"
        self.test = self.results / "predictions_test.npz"
        self.report = self.results / "report.html"

    def lock(self, stage: str) -> Path:
        """Return the lock to hold while `stage` writes below `root`."""
        return self.root / "outputs" / f"{stage}.lock"

    def figure(self, name: str) -> Path:
        """Return the path of the figure `name`."""
        return self.results / f"{name}.png"
