"""The style, colours and file format of all figures."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.core import files

DPI = 130
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#B4B4B4"
"""Okabe and Ito's palette without yellow, safe for colour blindness; grey for the background."""

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.titleweight": "bold",
    "figure.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
}


@contextmanager
def canvas(path: Path, width: float, height: float, title: str, layout: str = "constrained") -> Iterator[Figure]:
    """Yield a white figure of `width` by `height` inches, and write it to `path`: equal figures give equal bytes."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
        top = None if layout == "constrained" else 1 - 0.08 / height
        figure.suptitle(title, x=0.1 / width, y=top, ha="left")
        yield figure
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=DPI, metadata={"Software": None})
        files.replace(path, picture.getvalue())


def bars(axes: Axes, rows: dict[str, dict], keys: Sequence[str], texts: dict[str, list[str]]) -> None:
    """Draw a group of horizontal bars for each row, one bar per key with its text at the end."""
    height = 0.8 / len(keys)
    for index, (key, colour) in enumerate(zip(keys, (BLUE, ORANGE, GREEN), strict=True)):
        centres = np.arange(len(rows)) + (index - (len(keys) - 1) / 2) * height
        group = axes.barh(centres, [row[key] for row in rows.values()], height * 0.9, color=colour, label=key)
        axes.bar_label(group, [texts[label][index] for label in rows], padding=3, size=8)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.figure.legend(loc="outside lower center", ncols=len(keys))
