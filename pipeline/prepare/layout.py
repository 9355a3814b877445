"""Which split and class each image of a folder or an archive belongs to, by the names of its folders."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.core.errors import PipelineError
from pipeline.prepare.names import split_of

_USAGE = re.compile(r"(Training|PublicTest|PrivateTest)_[0-9]+\.[A-Za-z]+")


class Place(NamedTuple):
    """Where an image belongs: its split, None if the source has no splits, and its label as the source has it."""

    split: str | None
    label: str


def places(images: Iterable[str]) -> tuple[dict[str, Place], dict[str, list[str]]]:
    """Return the place of each of `images`, names with /, and why others have none: reason -> their names.

    Folders may be train/happy/, happy/train/ or happy/, below other folders. Kaggle's file names divide its folder
    test/ into val and test. Raises PipelineError if two folders are the same split.
    """
    parts = {name: name.split("/") for name in images}
    at = {name: _split_folder(folders) for name, (*folders, _) in parts.items()}
    divided = {name: i for name, i in at.items() if i is not None}
    if not divided:
        return _by_class(parts)
    class_first = all(i == len(parts[name]) - 2 and i > 0 for name, i in divided.items())
    found: dict[str, Place] = {}
    left: defaultdict[str, list[str]] = defaultdict(list)
    roots: defaultdict[str, set[str]] = defaultdict(set)
    for name, names in parts.items():
        i = at[name]
        if i is None:
            left["outside of the folders of the splits"].append(name)
        elif not class_first and i + 2 >= len(names):
            left["in no folder of a class"].append(name)
        else:
            label, root = (names[i - 1], [*names[: i - 1], names[i]]) if class_first else (names[i + 1], names[: i + 1])
            split = _usage(str(split_of(names[i])), names[-1])
            roots[split].add("/".join(root))
            found[name] = Place(split, label)
    for split, folders in roots.items():
        if len(folders) > 1:
            given = " and ".join(f"{folder}/" for folder in sorted(folders)[:3])
            raise PipelineError(f"{given} are both {split}; accepted: one of them, `--inside FOLDER` chooses")
    return found, dict(left)


def _split_folder(folders: list[str]) -> int | None:
    """Return which of `folders` is a split, the last one if there are several; None if none is."""
    return next((i for i in reversed(range(len(folders))) if split_of(folders[i])), None)


def _usage(split: str, file: str) -> str:
    """Return the split of `file` in the folder of `split`: Kaggle's FER-2013 has val and test in its folder test/."""
    match = _USAGE.fullmatch(file) if split == "test" else None
    return {"PublicTest": "val", "PrivateTest": "test"}.get(match[1], split) if match else split


def _by_class(parts: dict[str, list[str]]) -> tuple[dict[str, Place], dict[str, list[str]]]:
    """Return the places of images without splits: the class is the first folder that they do not have in common."""
    without = [name for name, names in parts.items() if len(names) == 1]
    names = {name: folders[:-1] for name, folders in parts.items() if len(folders) > 1}
    depth = 0
    while names and all(len(n) > depth + 1 for n in names.values()) and len({n[depth] for n in names.values()}) == 1:
        depth += 1
    found = {name: Place(None, folders[depth]) for name, folders in names.items()}
    return found, {"in no folder of a class": without} if without else {}
