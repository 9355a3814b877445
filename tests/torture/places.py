"""Unusual places: names of folders, locales, permissions, limits; no home, no git, one core, another user.

What `make run` starts ends there with the model of an ordinary place, bit for bit, and with its record in MLflow, and
writes nothing beside the checkout.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tests import record
from tests.conftest import ROOT, Project, shrunk, with_dvc
from tests.torture.outcome import Outcome

REPRO = ("sh", str(ROOT / "scripts/repro.sh"))
SHELL = ("sh", "-c")


class Place(NamedTuple):
    """A place: the name of the checkout's folder, variables of the environment (None: not set), and a first command."""

    folder: str = "checkout"
    environment: Mapping[str, str | None] = MappingProxyType({})
    before: tuple[str, ...] = ()
    rounds_alike: bool = True
    """Another number of threads adds in another order: then the record has the same points, with other digits."""


class Elsewhere(Project):
    """A copy of the project in a place."""

    def __init__(self, folder: Path, place: Place):
        super().__init__(folder)
        self.place = place

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        changed = super().environment(more) | dict(self.place.environment)
        return {name: value for name, value in changed.items() if value is not None}


def _limited(command: str) -> tuple[str, ...]:
    return (*SHELL, f'{command}; exec "$@"', "sh")


PLACES = {
    "folder with spaces": Place("my own checkout"),
    "folder with quotes": Place('it\'s "mine"'),
    "folder with % # ? & ;": Place("100% #1 a?b c&d;e"),
    "folder in other letters": Place("Gesichter äöü 表情 лица"),
    "folder with a long path": Place("/".join(["a" * 40] * 4)),
    "locale C": Place(environment={"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}),
    "Turkish locale": Place(environment={"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}),
    "no HOME": Place(environment={"HOME": None}),
    "HOME that cannot be written": Place(environment={"HOME": "/proc"}),
    "umask 077": Place(before=_limited("umask 077")),
    "64 open files": Place(before=_limited("ulimit -n 64")),
    "one core": Place(before=("taskset", "-c", "0"), rounds_alike=False),
    "time zone 14 hours ahead": Place(environment={"TZ": "Pacific/Kiritimati"}),
}
ALL = Place('it\'s 100% "ä" #1', {"LC_ALL": "C", "HOME": None}, _limited("umask 077; ulimit -n 64"))
"""Many of these at once, for the short form."""


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Run the stages in each place."""
    (folder / "template").mkdir()
    template = with_dvc(shrunk(folder / "template"))
    expected = _left(_ran(template, folder / "ordinary", Place()))
    for number, (name, place) in enumerate({"many at once": ALL}.items() if short else PLACES.items()):
        # Each in a folder of its own: MLflow's client keeps a database open.
        yield Outcome(f"unusual place: {name}", _lost(template, folder / str(number), place, expected))


def _ran(template: Project, around: Path, place: Place) -> Project:
    """Run the stages in a copy of `template` in `place`, below the folder `around`."""
    project = Elsewhere(Path(shutil.copytree(template.folder, around / place.folder)), place)
    project.run(*place.before, *REPRO, real=True)
    return project


def _lost(template: Project, around: Path, place: Place, expected: dict[str, Any]) -> str | None:
    try:
        project = _ran(template, around, place)
    except AssertionError as error:
        return str(error)[-2000:]
    if beside := [path.name for path in around.iterdir() if path.name != Path(place.folder).parts[0]]:
        return f"beside the checkout: {beside}"
    found = _left(project)
    if not place.rounds_alike:
        expected = {key: expected[key] for key in ("run", "params", "tags", "datasets", "artifacts")}
    return (
        "; ".join(f"{key}: {found[key]}, not {expected[key]}" for key in expected if found[key] != expected[key])
        or None
    )


def _left(project: Project) -> dict[str, Any]:
    """Return the SHA-256 of the model, and the record of its run in MLflow."""
    (run,) = record.of(project)
    return {"model.h5": hashlib.sha256(project.path("models/model.h5").read_bytes()).hexdigest(), **run}
