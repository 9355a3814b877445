"""The recorded run's network, scored anew on val and test: metrics.json and predictions.npz held against that."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.core import paths
from pipeline.core.schema import Config
from pipeline.verify import tolerance
from pipeline.verify.check import Check

if TYPE_CHECKING:
    import numpy as np


def checks(cfg: Config, run: dict[str, Any], metrics: dict[str, Any], epochs: int) -> Iterator[Check]:
    """Yield what came of metrics.json, which holds `metrics`, and of predictions.npz; `run` is what run.json holds."""
    from pipeline.data import arrays
    from pipeline.evaluate import stage
    from pipeline.metrics import inference, predictions
    from pipeline.models import saved

    out, classes = paths.Outputs(), run["config"]["data"]["classes"]
    model, folder = saved.load(out.model), paths.arrays(run["data"]["name"])
    splits = {name: arrays.load(folder, name, classes) for name in ("val", "test")}
    probabilities = {name: inference.predict(model, split) for name, split in splits.items()}
    kept = predictions.load(out.predictions)
    check = Check("results/predictions.npz, predicted anew")
    for name, split in splits.items():
        _compare_arrays(check, f"{name} labels", kept[name].labels, split.labels, 0.0)
        recorded, found = kept[name].probabilities, probabilities[name]
        _compare_arrays(check, f"{name} probabilities", recorded, found, tolerance.PROBABILITY)
    yield check
    rounded = check.largest > 0 and not check.wrong  # what is wrong is no rounding

    found = stage.summed_up(cfg, {**run, "data": arrays.identity(folder)}, epochs, model, splits, probabilities)
    check = Check("results/metrics.json, scored anew")
    check.compare_scores(metrics, found, _slack(metrics), not (rounded or tolerance.changed(run)))
    yield check


def _slack(recorded: dict[str, Any]) -> dict[str, Any]:
    sure = {name: tolerance.of_sure(recorded["sure"][name], recorded[name]["images"]) for name in ("val", "test")}
    return {**tolerance.of_scores(recorded), "sure": sure, "inspection": {"right": tolerance.IMAGES}}


def _compare_arrays(check: Check, name: str, recorded: "np.ndarray", found: "np.ndarray", slack: float) -> None:
    """Compare two arrays; what is wrong of them is told once, with the place of the largest difference."""
    import numpy as np

    if recorded.shape != found.shape:
        check.compare({f"{name}, shape": list(recorded.shape)}, {f"{name}, shape": list(found.shape)})
        return
    check.values += recorded.size - 1
    apart = np.abs(recorded.astype(np.float64) - found)
    worst = np.unravel_index(np.nan_to_num(apart, nan=np.inf).argmax(), apart.shape)
    wrong = int((~(apart <= slack)).sum())
    where = f"{name}, {wrong} differ, most at {[int(i) for i in worst]}:"
    check.compare({where: float(recorded[worst])}, {where: float(found[worst])}, slack)
