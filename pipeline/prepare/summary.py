"""What `prepare` understood, as text: for the terminal, and for the comments of the option."""

from pathlib import Path

from pipeline.core.constants import IMAGE_SIZE, SPLITS
from pipeline.prepare import splits
from pipeline.prepare.names import printable
from pipeline.prepare.understanding import Understood

SHOWN = 3
"""Sizes and names of files that a line lists."""


def facts(source: Path, found: Understood, seed: int) -> list[str]:
    """Return a line for each fact on the images of `source` and on what was made of them."""
    size = f"{IMAGE_SIZE}x{IMAGE_SIZE}"
    sizes = [f"{width}x{height} ({n:,})" for (width, height), n in found.sizes.most_common(SHOWN)]
    sizes += [f"{len(found.sizes) - SHOWN:,} more"] if len(found.sizes) > SHOWN else []
    lines = [f"{printable(source.resolve().name)}: {len(found.images):,} images of {len(found.counts())} classes"]
    lines.append(f"sizes: {', '.join(sizes)}" + ("" if set(found.sizes) == {(48, 48)} else f"; resized to {size}"))
    if oblong := sum(n for (width, height), n in found.sizes.items() if width != height):
        lines.append(f"not square: {oblong:,}; the whole picture is squeezed to {size}")
    lines.append(f"colour: {found.colour:,}, converted to grey" if found.colour else "colour: none, all are grey")
    if changes := found.names.changes():
        lines.append(f"classes: {', '.join(changes)}")
    lines += [
        f"{split}: not in the source; a share of {share:g} of the training images of each class, drawn with seed "
        f"{seed}, equal images together"
        for split, share in found.divided.items()
    ]
    if copies := len(found.images) - len({image.digest for image in found.images}):
        lines.append(
            f"equal images: {copies:,} copies of others; {splits.conflicting(found.images):,} have two classes"
        )
    pairs = splits.straddling(found.images, found.splits)
    lines += [f"equal images in two splits of the source: {n:,} {pair}" for pair, n in pairs.items()]
    return lines + [_left(reason, names) for reason, names in found.left.items()]


def _left(reason: str, names: list[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:SHOWN])
    return f"left out, {reason}: {len(names):,} ({shown}{', ...' if len(names) > SHOWN else ''})"


def table(counts: dict[str, list[int]]) -> list[str]:
    """Return the lines of a table with the images of each class in each split."""
    rows = [("", *SPLITS), *((label, *(f"{n:,}" for n in numbers)) for label, numbers in counts.items())]
    rows.append(("all", *(f"{sum(numbers):,}" for numbers in zip(*counts.values(), strict=True))))
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"  {label:<{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, others, strict=True))
        for label, *cells in rows
    ]


def commands(name: str) -> str:
    """Return what to run next."""
    return (
        f"all four stages:    python -m pipeline.use data={name} && dvc repro\n"
        f"single runs:        python -m pipeline.download data={name} && python -m pipeline.preprocess data={name}, "
        f"then python -m pipeline.train data={name}"
    )
