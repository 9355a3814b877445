"""Finds the labelled pictures in a source, and reads them one at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pipeline.core.errors import PipelineError
from pipeline.data import archive
from pipeline.data.archive import damage_named
from pipeline.faces.media import PICTURES
from pipeline.prepare import pictures, tables
from pipeline.prepare.layout import Place, places
from pipeline.prepare.pictures import Picture
from pipeline.prepare.sources import ACCEPTED, empty_folders, entries
from pipeline.prepare.tables import Columns

PACKED = (".tar", ".tar.gz", ".tgz", ".zip")


class Plan(NamedTuple):
    """What is read of a source: pictures by their place, or tables of pixels, or the challenge's packed table.

    `left` are the files that are not read: reason -> names. With `codes`, numbers are in a column `emotion`.
    """

    images: dict[str, Place]
    tables: dict[str, Columns]
    packed: bool
    left: dict[str, list[str]]
    codes: bool = False


class Labelled(NamedTuple):
    """A picture with its name in the source, its split (None if the source has none) and its label there."""

    name: str
    split: str | None
    label: str
    picture: Picture


def plan(path: Path, inside: str) -> Plan:
    """Return what is to be read of `path`, by the names of its files and the first lines of its tables.

    Raises PipelineError, which names `path`, if it is damaged or hostile, or nothing is understood.
    """
    with damage_named(str(path), ACCEPTED):
        found = _plan(path, inside)
    empty = empty_folders(path / inside)
    return found._replace(left=found.left | ({"empty folders": empty} if empty else {}))


def _plan(path: Path, inside: str) -> Plan:
    names: Counter[str] = Counter()
    heads: dict[str, Columns | None] = {}
    for entry in entries(path, inside):
        names[entry.name] += 1
        if entry.name.lower().endswith((".csv", ".csv.gz")):
            with entry.open() as file:
                heads[entry.name] = tables.columns(file.read(tables.HEAD))
    if twice := [name for name, n in names.items() if n > 1]:
        raise PipelineError(f"holds {twice[0]} twice; accepted: every name once")
    images = [name for name in names if PurePosixPath(name).suffix.lower() in PICTURES]
    others = [name for name in names if name not in heads and name not in set(images)]
    if images:
        return _of_images(path, inside, images, heads, others)
    if any(heads.values()):
        chosen, left = tables.choose(
            {name: found for name, found in heads.items() if found and found.pixels is not None}
        )
        left |= tables.unusable(heads, chosen, left)
        if chosen:
            return Plan({}, chosen, False, left | ({"no pictures": others} if others else {}), _coded(chosen))
    inner = [name for name in others if name.lower().endswith(PACKED)]
    if path.is_file() and len(inner) == 1 and not inner[0].lower().endswith(".zip"):
        return Plan({}, {}, True, {})
    if inner:
        raise PipelineError(f"holds no pictures, and the archive {inner[0]}; accepted: what is in that, unpacked")
    if heads:
        raise PipelineError(
            f"{next(iter(heads))} does not begin with a line of column names that has label and pixels, or label and "
            f"file; accepted as label: {', '.join(tables.LABELS)}; as file: {', '.join(tables.FILES)}"
        )
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names)
    found = ", ".join(f"{n} with {kind}" for kind, n in kinds.most_common(4)) or "no file"
    raise PipelineError(
        f"{inside or 'it'} has no labelled picture ({found}); accepted: a folder of pictures for each class "
        f"({' '.join(sorted(PICTURES))}), or a .csv table with the columns label and pixels, or label and file"
    )


def _of_images(path: Path, inside: str, images: list[str], heads: dict[str, Columns | None], others: list[str]) -> Plan:
    found, left = places(images)
    listing = {name: columns for name, columns in heads.items() if columns and columns.files is not None}
    if listing and len({place.label for place in found.values()}) < 2:
        chosen, left = tables.choose(listing)
        found = _by_table(path, inside, chosen, images)
        left |= tables.unusable(heads, chosen, left)
        if unnamed := [name for name in images if name not in found]:
            left["in no row of the table"] = unnamed
        return Plan(found, {}, False, left | ({"no pictures": others} if others else {}), _coded(chosen))
    if heads:
        left["tables, beside folders of pictures"] = list(heads)
    return Plan(found, {}, False, left | ({"no pictures": others} if others else {}))


def _coded(chosen: dict[str, Columns]) -> bool:
    return any(columns.label == "emotion" for columns in chosen.values())


def _by_table(path: Path, inside: str, chosen: dict[str, Columns], images: list[str]) -> dict[str, Place]:
    """Return the place of each of `images` that a row of the tables names: by the end of its name."""
    ends: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        ends[PurePosixPath(image).name].append(image)
    found: dict[str, Place] = {}
    for entry in entries(path, inside):
        if entry.name not in chosen:
            continue
        with entry.open() as file:
            for row in tables.rows(file, chosen[entry.name], entry.name):
                wanted = row.content.replace("\\", "/").removeprefix("./").lstrip("/")
                named = [i for i in ends[wanted.rpartition("/")[2]] if i == wanted or i.endswith(f"/{wanted}")]
                if len(named) != 1 or named[0] in found:
                    count = "a picture that another row has" if len(named) == 1 else f"{len(named)} pictures"
                    raise PipelineError(f"{entry.name}, line {row.line}: {wanted[:100]!r} is {count}; accepted: one")
                found[named[0]] = Place(row.split or tables.split_of_table(entry.name), row.label)
    return found


def labelled(path: Path, inside: str, chosen: Plan, broken: list[str] | None) -> Iterator[Labelled]:
    """Yield what `chosen` says, in the order of the source; pictures that cannot be read are added to `broken`.

    With `broken` None, the first of them raises PipelineError.
    """
    if chosen.packed:
        for face in archive.read(path):
            picture = Picture(face.pixels, (len(face.pixels),) * 2, False)
            yield Labelled(f"row {face.number}", face.split, face.emotion, picture)
        return
    with damage_named(str(path), ACCEPTED):
        yield from _labelled(path, inside, chosen, broken)


def _labelled(path: Path, inside: str, chosen: Plan, broken: list[str] | None) -> Iterator[Labelled]:
    for entry in entries(path, inside):
        if place := chosen.images.get(entry.name):
            try:
                picture = pictures.read(entry.read(), entry.name)
            except PipelineError as error:
                if broken is None:
                    raise PipelineError(f"{error}; --skip-broken leaves such files out") from error
                broken.append(entry.name)
            else:
                yield Labelled(entry.name, *place, picture)
        elif entry.name in chosen.tables:
            with entry.open() as file:
                yield from _of_table(file, entry.name, chosen.tables[entry.name])


def _of_table(file: IO[bytes], name: str, columns: Columns) -> Iterator[Labelled]:
    for row in tables.rows(file, columns, name):
        where = f"{name}, line {row.line}"
        grey = tables.square(row.content, where)
        picture = Picture(pictures.resize(grey, where), (len(grey), len(grey)), False)
        yield Labelled(where, row.split or tables.split_of_table(name), row.label, picture)
