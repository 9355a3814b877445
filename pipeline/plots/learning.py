"""The learning curves of one training."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from pipeline.plots.canvas import BLUE, ORANGE, canvas


def curves(path: Path, history: list[dict], data: str, best_epoch: int | None) -> None:
    """Draw accuracy and loss by epoch; `best_epoch`, counted from 1, is the epoch of the saved weights."""
    epochs = [row["epoch"] for row in history]
    # Fixed margins: computing them takes as long as drawing, and each job of a sweep draws this.
    with canvas(path, 9.5, 4.2, f"Learning curves, {data}", layout="none") as figure:
        margins = {"left": 0.075, "right": 0.99, "bottom": 0.21, "top": 0.85, "wspace": 0.2}
        left, right = figure.subplots(1, 2, gridspec_kw=margins)
        for axes, name, scale, least, most in (
            (left, "accuracy", 100, 10, 101),
            (right, "loss", 1, 0.2, np.inf),
        ):
            for key, label, colour, line in (name, "train", BLUE, "--"), (f"val_{name}", "val", ORANGE, "-"):
                values = [row[key] * scale for row in history]
                dot = "o" if len(history) <= 15 else None
                axes.plot(epochs, values, line, color=colour, lw=2, marker=dot, ms=5, label=label)
            if best_epoch is not None:
                axes.axvline(best_epoch, color="black", lw=1, ls=":", label=f"best epoch: {best_epoch}")
            low, high = axes.get_ylim()
            slack = max(least - (high - low), 0) / 2
            axes.set(ylim=(max(low - slack, 0), min(high + slack, most)))
            axes.set(title=name, xlabel="epoch", xlim=(min(epochs) - 0.5, max(epochs) + 0.5))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(visible=True)
        left.set_ylabel("images classified correctly")
        left.yaxis.set_major_formatter("{x:g}%")
        right.set_ylabel("cross-entropy in nats")
        figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncols=3)
