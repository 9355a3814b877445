"""Every path of the project, once."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The workspace: the checkout, or the copy of it in which DVC runs an experiment."""

HOME = Path(os.environ.get("DVC_ROOT", ROOT)).resolve()
"""The checkout that outlives such copies: DVC names it to the stages it runs elsewhere."""

CONF = ROOT / "conf"
PARAMS = ROOT / "params.yaml"
README = ROOT / "README.md"

MLRUNS = HOME / "mlruns"
CHECKPOINTS = HOME / "outputs" / "checkpoints"
TORTURE = ROOT / "results" / "torture.json"


def raw(data: str) -> Path:
    """Return the folder that holds the downloaded archive of data set `data`."""
    return ROOT / "data" / "raw" / data


def data_lock(data: str) -> Path:
    """Return the lock of whoever writes data set `data`: its archive or its arrays."""
    return ROOT / "outputs" / f"data-{data}.lock"


def arrays(data: str) -> Path:
    """Return the folder that holds the decoded arrays of data set `data`."""
    return ROOT / "data" / "arrays" / data


def experiment(name: str) -> Path:
    """Return the file with the scores of the experiment `name`."""
    return ROOT / "results" / "experiments" / f"{name}.json"


def weights(name: str) -> Path:
    """Return the file of the network that the experiment `name` gave."""
    return ROOT / "weights" / f"{name}.h5"


def ablation(name: str) -> Path:
    """Return the file that says what each lever of a recipe is worth."""
    return ROOT / "results" / "ablations" / f"{name}.json"


class Outputs:
    """What train and evaluate write, below `root`: the workspace, or the folder of one job of a sweep."""

    def __init__(self, root: Path = ROOT):
        """Name the files; nothing is made."""
        self.root = root
        self.model = root / "models" / "model.h5"
        self.results = root / "results"
        self.run = self.results / "run.json"
        self.val = self.results / "predictions_val.npz"
        self.history = self.results / "history.csv"
        self.audit = self.results / "audit.json"
        self.metrics = self.results / "metrics.json"
        self.speed = self.results / "speed.json"
        self.test = self.results / "predictions_test.npz"
        self.report = self.results / "report.html"

    def lock(self, stage: str) -> Path:
        """Return the lock of the process that runs `stage`, which writes here."""
        return self.root / "outputs" / f"{stage}.lock"

    def figure(self, name: str) -> Path:
        """Return the path of the picture `name`."""
        return self.results / f"{name}.png"
