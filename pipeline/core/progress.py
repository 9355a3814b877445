"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Callable[[int], object]]:
    """Show how much of `total` is done; yield the function that takes what was done since its last call.

    `total` is in `unit` (images, B for bytes); None where it is not known.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=label, total=total, unit=unit, unit_scale=unit == "B", leave=False) as shown:
            yield shown.update
    else:
        yield _lines(label, total, unit)


def _lines(label: str, total: int | None, unit: str) -> Callable[[int], None]:
    done, printed = 0, time.monotonic()

    def advance(n: int = 1) -> None:
        nonlocal done, printed
        done += n
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            of = f" of {total:,} ({done / total:.0%})" if total else ""
            print(f"{label}: {done:,}{of} {unit}", flush=True)

    return advance
