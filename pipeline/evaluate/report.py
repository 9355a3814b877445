"""The report of a run: one HTML file that needs no other files and no internet connection."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import files
from pipeline.core.nested import flatten
from pipeline.metrics import calibration, notebook
from pipeline.plots import page

if TYPE_CHECKING:
    from pipeline.train.record import RunRecord

TEMPLATE = Path(__file__).with_name("report.html.jinja")
SCORED = ("val", "test", "test_clean", "kaggle_test")
MEANS = ("flip_tta", "ensemble", "ensemble_flip_tta")
"""The optional scores of pipeline/metrics/inference.py."""


def write(
    path: Path,
    metrics: dict,
    speed: dict,
    run: "RunRecord",
    history: list[dict],
    audit: dict,
    figures: dict[str, Path],
    pages: str | None,
) -> None:
    """Write the page to `path`; if this fails, an older page stays.

    `figures` are PNG files: samples, balance, curves, confusion, emotions, calibration, corruptions, inspection,
    mistakes, explanations. `pages` is the address of the server that shows the MLflow run, None without one.
    """
    comparable = notebook.comparable(metrics["data"]["name"], metrics["test"]["emotions"])
    published = notebook.ACCURACY if comparable else {}
    counted = dict.fromkeys(emotion for images in audit["images"].values() for emotion in images)
    bounds = [metrics[s][key] for s in SCORED for key in ("accuracy_low", "accuracy_high")]
    text = page.render(
        TEMPLATE,
        metrics=metrics,
        speed=speed,
        run=run,
        history=history,
        audit=audit,
        counted=list(counted),
        pictures={name: page.picture(figure) for name, figure in figures.items()},
        synthetic=metrics["data"]["name"] == "synthetic",
        scored=SCORED,
        means=[way for way in MEANS if way in metrics],
        notebook=published,
        ticks=_ticks([*bounds, *published.values()]),
        confident=calibration.CONFIDENT,
        pages=pages,
        settings=flatten(run.config.model_dump()),
    )
    files.replace(path, text.encode())


def _ticks(shares: list[float]) -> list[int]:
    """Return about five evenly spaced percentages, within 0 to 100, whose range contains the shares."""
    low, high = min(shares) * 100, max(shares) * 100
    step = next(s for s in (1, 2, 5, 10, 20) if high - low <= 4 * s or s == 20)
    last = max(math.ceil(high / step) * step, step)
    first = min(math.floor(low / step) * step, last - step)
    return list(range(first, last + 1, step))
