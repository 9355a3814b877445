"""Shows the progress of long work: a bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Callable[[int], object]]:
    """Show how much of `total` is done; yield a function that adds to the amount done.

    `total` is in `unit` (images, or B for bytes); None if it is unknown.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=label, total=total, unit=unit, unit_scale=unit == "B", leave=False) as bar:
            yield bar.update
    else:
        yield _lines(label, total, unit)


def _lines(label: str, total: int | None, unit: str) -> Callable[[int], None]:
    done, printed = 0, time.monotonic()

    def advance(n: int = 1) -> None:
        nonlocal done, printed
        done += n
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            share = f" of {total:,} ({done / total:.0%})" if total else ""
            print(f"{label}: {done:,}{share} {unit}", flush=True)

    return advance
