"""The emotions of the people in a video over time."""

from pathlib import Path

import numpy as np

from pipeline.plots.canvas import canvas

MOST = 8
"""The most people that are drawn: those who are seen longest."""
UNSEEN = "#E3E3E3"
"""The colour of the time in which a person is not seen."""


def emotions(
    path: Path, name: str, people: dict[int, tuple[float, np.ndarray]], classes: list[str], step: float
) -> None:
    """Draw a panel for each person: the probability of each emotion over time, the darker the higher.

    `people` maps each person to the second from which on they are seen, and (n, k) probabilities, one row for each
    `step` seconds; NaN if they are not seen. It may be empty.
    """
    seen = sorted(people, key=lambda person: -int(np.isfinite(people[person][1][:, 0]).sum()))
    drawn = sorted(seen[:MOST])
    left_out = f" (of {len(people)} people, the {MOST} seen longest)" if len(people) > MOST else ""
    height = 0.9 + max(1, len(drawn)) * (0.5 + 0.19 * len(classes))
    name = name.replace("$", r"\$")  # between two of them Matplotlib reads a formula
    with canvas(path, 9, height, f"{name}: emotions over time{left_out}") as figure:
        panels = figure.subplots(max(1, len(drawn)), sharex=True, squeeze=False)[:, 0]
        for axes, person in zip(panels, drawn, strict=False):
            start, levels = people[person]
            extent = start, start + step * len(levels), len(classes) - 0.5, -0.5
            image = axes.imshow(levels.T, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=extent)
            axes.set_facecolor(UNSEEN)
            axes.set_title(f"person {person}")
            axes.set_yticks(range(len(classes)), classes)
            axes.tick_params(axis="y", length=0)
        panels[-1].set_xlabel("seconds (grey: not seen)" if drawn else "seconds")
        if not drawn:
            panels[0].set_title("no face")
            return
        panels[0].set_xlim(0, max(start + step * len(levels) for start, levels in people.values()))
        figure.colorbar(image, ax=panels, label="probability", shrink=min(1.0, 2.0 / len(drawn)))
