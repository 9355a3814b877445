"""Bad input: archives, tables, pictures and settings, made by Hypothesis, the same ones each time.

Each is refused with a line of its own or is good all the same, within bounds of time and memory, and nothing is kept
of one that is refused: an archive that was there stays.
"""

import gzip
import io
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from pipeline.core import command, config, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Data
from pipeline.data import archive
from pipeline.download.stage import download
from pipeline.faces import media
from tests import archives
from tests.torture import mutations
from tests.torture.outcome import Outcome

SECONDS, MEGABYTES = 10, 500
"""A case may take so long, and so much memory that no case before it took."""
EARLIER = b"the archive that was there"


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Give the readers 500 inputs, or three of each kind."""
    damaged, some = mutations.damaged, st.one_of
    whole = archives.write_zip(folder / "zip", archives.images()).read_bytes()
    packed = archives.write_zip(folder / "zip", {"fer2013.csv": archives.table()}, deflate=True).read_bytes()
    tar = archives.tar_gz(("README", b"x"), ("fer2013/fer2013.csv", archives.table()))
    unpacked = damaged(gzip.decompress(tar)).map(lambda content: gzip.compress(content, 1))
    known = [archives.image(kind=kind) for kind in mutations.KINDS]
    downloaded = partial(_downloaded, folder)
    kinds: dict[str, tuple[int, st.SearchStrategy, Callable[[Any], str | None]]] = {
        "damaged zip": (70, some(damaged(whole), damaged(packed)), downloaded),
        "damaged tar.gz": (50, some(damaged(tar), unpacked), downloaded),
        "hostile member of an archive": (60, mutations.members(), downloaded),
        "bomb, or wrong size in an archive": (30, mutations.bombs(), downloaded),
        "wrong image in an archive": (60, mutations.wrong_images(), downloaded),
        "damaged CSV": (30, damaged(archives.table()), downloaded),
        "wrong row of a CSV": (50, mutations.rows(), downloaded),
        "damaged picture": (60, some(*map(damaged, known)), _shown),
        "picture of any size and depth": (30, mutations.pictures(), _shown),
    }
    for kind, (number, inputs, check) in kinds.items():
        yield from _made(kind, 3 if short else number, inputs, check)
    with _copied(folder / "project"):
        for kind, number, path in (
            ("damaged params.yaml", 30, paths.PARAMS),
            ("damaged file of conf/", 15, paths.CONF / "model" / "seed_cnn.yaml"),
        ):
            contents = mutations.settings(path.read_bytes())
            yield from _made(kind, 3 if short else number, contents, partial(_composed, path))
        yield from _made("wrong override", 3 if short else 15, mutations.overrides(), _compose)


def _made(kind: str, number: int, inputs: st.SearchStrategy, check: Callable[[Any], str | None]) -> Iterator[Outcome]:
    """Yield what came of so many `inputs`, which `check` says, or of the time and the memory that one took."""
    outcomes: list[Outcome] = []

    @hypothesis.settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(inputs)
    def case(made: Any) -> None:
        started, memory = time.process_time(), _megabytes()
        lost = check(made)
        seconds, more = time.process_time() - started, _megabytes() - memory
        if lost is None and (seconds > SECONDS or more > MEGABYTES):
            lost = f"it took {seconds:.1f} s of the processor and {more:.0f} MB"
        outcomes.append(Outcome(kind, lost and f"{lost} [{made!r:.200}]"))

    case()
    yield from outcomes


def _megabytes() -> float:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _lost(read: Callable[[], str | None]) -> str | None:
    """Return what `read` says was lost; an error that the command line has a line for is none."""
    try:
        return read()
    except Exception as error:
        message = command._explain(error)
        clear = message and message != "error: " and "Traceback" not in message
        return None if clear else f"{type(error).__name__}: {error}"


def _downloaded(folder: Path, content: bytes) -> str | None:
    """Download `content` into a folder that holds an archive; say what was lost."""
    given, target = folder / "given", folder / "target"
    given.write_bytes(content)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    (target / "archive.zip").write_bytes(EARLIER)
    around = set(folder.iterdir())
    data = Data(name="x", sources=["archive"], archive=str(given), classes=["angry", "happy"], counts=archives.COUNTS)
    try:
        placed = download(data, target)
    except PipelineError:
        kept = {path.name: path.read_bytes() for path in target.iterdir()}
        return None if kept == {"archive.zip": EARLIER} and set(folder.iterdir()) == around else f"kept: {sorted(kept)}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if [*target.iterdir()] != [placed] or placed.read_bytes() != content:
        return "what was placed is not what was given"
    found = sum(1 for _ in archive.read(placed))
    return None if found == sum(map(sum, archives.COUNTS.values())) else f"{found} images were taken"


def _shown(content: bytes) -> str | None:
    """Decode `content` as a picture, as predict, the page and the service do."""

    def read() -> str | None:
        frame = media.decode(io.BytesIO(content), "the picture")
        good = frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8
        return None if good else f"a frame of shape {frame.shape}"

    return _lost(read)


@contextmanager
def _copied(folder: Path) -> Iterator[None]:
    """Have the configuration read from a copy in `folder`, as in a checkout that stands there."""
    before = {name: getattr(paths, name) for name in ("ROOT", "CONF", "PARAMS")}
    environment = os.environ.get("PROJECT_ROOT")
    shutil.copytree(paths.CONF, folder / "conf")
    shutil.copyfile(paths.PARAMS, folder / "params.yaml")
    paths.ROOT, paths.CONF, paths.PARAMS = folder, folder / "conf", folder / "params.yaml"
    try:
        yield
    finally:
        for name, path in before.items():
            setattr(paths, name, path)
        os.environ.pop("PROJECT_ROOT", None)
        if environment is not None:
            os.environ["PROJECT_ROOT"] = environment


def _composed(path: Path, content: bytes) -> str | None:
    """Compose the configuration while the file `path` holds `content`."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        return _compose([])
    finally:
        path.write_bytes(before)


def _compose(overrides: list[str]) -> str | None:
    def read() -> None:
        config.compose(overrides)

    return _lost(read)
