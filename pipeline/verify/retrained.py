"""What training anew gives, beside what is recorded: the quickest recipe, and a run that was made again."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.config import compose
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.verify import tolerance
from pipeline.verify.check import Check

if TYPE_CHECKING:
    import numpy as np


def quickest() -> Check | None:
    """Train the recipe that takes the fewest minutes anew, with the seed that was kept; None where there is no recipe.

    Compares the weights with those in weights/, and the accuracy on val with that in results/experiments/. Where one
    weight is another one, this machine rounds otherwise: then the accuracy alone is held to `tolerance.TRAINED`.
    """
    import numpy as np

    from pipeline.models import saved
    from pipeline.readme.__main__ import experiments

    if not (found := experiments()):
        return None
    recorded = found[0]
    name, config = recorded["experiment"], {**recorded["config"], "seed": recorded["weights"]["seed"]}
    cfg, _ = compose([f"experiment={name}", f"seed={config['seed']}"])
    print(f"trains the recipe {name} anew, with seed {cfg.seed}:")
    weights, accuracy = _train(cfg)
    check = Check(f"weights/{name}.h5, trained anew")
    kept = saved.load(paths.weights(name)).get_weights()
    exact = len(kept) == len(weights) and all(map(np.array_equal, kept, weights))
    check.values += sum(w.size for w in kept)
    check.compare({"config": config}, {"config": _like(config, cfg.model_dump())})
    before, slack = recorded["weights"]["scores"]["val"]["accuracy"], 0.0 if exact else tolerance.TRAINED
    check.compare({"val accuracy": before}, {"val accuracy": accuracy}, slack)
    other = f", other weights, val accuracy {accuracy:.2%}, {tolerance.STATED_TRAINED}"
    check.rule = ", bit for bit" if exact else other
    return check


def is_another(run: dict[str, Any]) -> bool:
    """Tell whether the last commit has another run than `run`, that in results/; without git nothing says so."""
    committed = _committed(paths.Outputs().run)
    return committed is not None and committed["mlflow_run_id"] != run["mlflow_run_id"]


def recorded_run(run: dict[str, Any], metrics: dict[str, Any]) -> Check | None:
    """Hold the accuracies of the run in results/ to those of the run that was committed, `tolerance.TRAINED` apart.

    None where they are one run, where there is no git, and where the committed run had other settings or images.
    """
    committed, scores = (_committed(path) for path in (paths.Outputs().run, paths.Outputs().metrics))
    if not is_another(run) or not scores:
        return None
    if other := [what for key, what in (("data", "images"), ("config", "settings")) if committed[key] != run[key]]:
        print(f"the committed run, not verified: the run in results/ has other {' and '.join(other)}")
        return None
    check = Check("results/metrics.json, beside the committed run's")
    accuracy = [
        {f"{split}, accuracy": scored["accuracy"] for split, scored in found.items() if "accuracy" in scored}
        for found in (scores, metrics)
    ]
    check.compare(*accuracy, tolerance.TRAINED)
    check.rule = ", exactly" if check.largest == 0 else f", {tolerance.STATED_TRAINED}"
    return check


def _train(cfg: Config) -> tuple[list["np.ndarray"], float]:
    """Return the weights of the network that `cfg` gives, and its accuracy on val; no file is left, and no run."""
    from pipeline import models
    from pipeline.core import runtime
    from pipeline.data import arrays
    from pipeline.metrics import inference
    from pipeline.train import fit
    from pipeline.train.checkpoint import Checkpoint

    train, val = (arrays.load(paths.arrays(cfg.data.name), split, cfg.data.classes) for split in ("train", "val"))
    runtime.deterministic(cfg.seed)
    model = models.build(cfg.model, len(cfg.data.classes))
    with tempfile.TemporaryDirectory() as folder:
        fit.fit(model, train, val, fit.TrainingConfig.of(cfg), Checkpoint(Path(folder) / "state"), lambda history: None)
    right = inference.predict(model, val).argmax(1) == val.labels
    return model.get_weights(), float(right.mean())


def _like(recorded: Any, composed: Any) -> Any:
    """Return of nested dictionaries what `recorded` has keys for: a run does not record where its data comes from."""
    if not isinstance(recorded, dict) or not isinstance(composed, dict):
        return composed
    return {key: _like(recorded[key], value) for key, value in composed.items() if key in recorded}


def _committed(path: Path) -> dict[str, Any] | None:
    """Return what the JSON file `path` holds in the last commit, None where there is none."""
    name = path.relative_to(paths.ROOT).as_posix()
    try:
        command = ["git", "-C", str(paths.ROOT), "show", f"HEAD:./{name}"]
        shown = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    try:
        return json.loads(shown.stdout)
    except ValueError as error:
        raise PipelineError(f"{name} of the last commit is no JSON: {error}") from error
