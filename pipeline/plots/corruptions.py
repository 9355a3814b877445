"""The heat map of accuracies on corrupted images."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from pipeline.plots.canvas import canvas


def heat_map(path: Path, models: dict[str, dict[str, list[float]]], title: str) -> None:
    """Draw the accuracies of `models`: a row for each corruption, three columns (severities) for each model."""
    names = list(next(iter(models.values())))
    columns = [np.array(list(found.values())) for found in models.values()]
    with canvas(path, max(3.4 + 2.1 * len(models), 7), 1.3 + 0.36 * len(names), title) as figure:
        axes = figure.subplots(1, len(models), squeeze=False)[0]
        for axis, name, values in zip(axes, models, columns, strict=True):
            image = axis.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            for (row, column), accuracy in np.ndenumerate(values):
                colour = "white" if accuracy > 0.68 else "black"
                axis.text(column, row, f"{accuracy:.0%}", ha="center", va="center", size=9, color=colour)
            axis.set_xticks(range(3), ["weak", "medium", "strong"])
            axis.set_yticks(range(len(names)), names if axis is axes[0] else [])
            axis.tick_params(length=0)
            axis.set_title(f"{name}: mean {values.mean():.1%}")
            axis.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=list(axes), aspect=30, label="accuracy")
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
        bar.outline.set_visible(False)
