"""The figure of a search."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.plots.canvas import BLUE, GREY, ORANGE, VERMILLION, canvas


def search(path: Path, trials: list[dict], data: str) -> None:
    """Draw the val accuracy of each trial by its state, and the best so far; failed trials are on the axis."""
    styles = {"finished": (BLUE, "o"), "stopped": (ORANGE, "x"), "running": (GREY, "s"), "failed": (VERMILLION, "v")}
    with canvas(path, 8, 4.2, f"Trials of the search, {data}") as figure:
        axes = figure.add_subplot(xlabel="trial", ylabel="val accuracy")
        for state, (colour, marker) in styles.items():
            rows = [row for row in trials if row["state"] == state]
            heights = [0 if state == "failed" else row["val_accuracy"] for row in rows]
            on_axis = {"transform": axes.get_xaxis_transform(), "clip_on": False} if state == "failed" else {}
            style = {"c": colour, "marker": marker, "s": 45, "lw": 2, "zorder": 3, **on_axis}
            if rows:
                axes.scatter([row["trial"] for row in rows], heights, label=state, **style)
        finished = [row for row in trials if row["state"] == "finished"]
        best = np.maximum.accumulate([row["val_accuracy"] for row in finished])
        axes.step([row["trial"] for row in finished], best, where="post", color="black", lw=1, label="best so far")
        axes.set_xlim(0.5, trials[-1]["trial"] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(visible=True)
        figure.legend(loc="outside lower center", ncols=5)
