"""The names of folders, tables and labels: which class or split each of them is."""

import re
import unicodedata

from pydantic import TypeAdapter, ValidationError

from pipeline.core.constants import CODES
from pipeline.core.errors import PipelineError
from pipeline.core.schema import ClassName

_CLASS = TypeAdapter[str](ClassName)
_SAME = {
    "angry": ("anger", "angriness"),
    "disgust": ("disgusted", "disgusting"),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy", "joyful"),
    "neutral": ("normal", "neutrality"),
    "sad": ("sadness", "unhappy"),
    "surprise": ("surprised", "suprise", "suprised", "surprising"),
}
SYNONYMS = {other: emotion for emotion, others in _SAME.items() for other in others}
"""Other names of FER-2013's emotions, with frequent misspellings."""

_WORDS = {
    "train": "train|training",
    "val": "val|valid|validation|dev|public|publictest|public_test",
    "test": "test|testing|eval|evaluation|private|privatetest|private_test",
}
_SPLITS = {
    split: re.compile(rf"(?:{words})(?:[ _-]?(?:set|data|images|faces|split))?") for split, words in _WORDS.items()
}


def split_of(name: str) -> str | None:
    """Return the split that a folder, a table or a cell called `name` means: train, val or test; None if it is none."""
    return next((split for split, words in _SPLITS.items() if words.fullmatch(name.strip().lower())), None)


def class_of(name: str) -> str:
    """Return `name` as the name of a class: in lower case, without a number in front, with _ for other signs.

    Raises PipelineError if nothing usable is left.
    """
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip().lower()
    cleaned = re.sub(r"[^a-z0-9 -]+", "_", re.sub(r"^[0-9]+[ ._-]+(?=[a-z])", "", ascii_only)).strip("_ -")
    try:
        return _CLASS.validate_python(" ".join(cleaned.split()))
    except ValidationError:
        shown = printable(name[:60])
        raise PipelineError(
            f"{shown!r} is no name of a class; accepted: letters, digits, -, _ and spaces, a letter first, at most "
            f"40; `--map {shown}=NAME` gives it another name"
        ) from None


def printable(name: str) -> str:
    """Return `name` in one line, with ? for what cannot be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


class Names:
    """The class of each name in the source, and how it got there."""

    def __init__(self, given: dict[str, str], keep: bool, emotion_codes: bool = False):
        """Map by `given` (name in the source -> class) first.

        With `keep`, synonyms of emotions are classes of their own. With `emotion_codes`, the numbers 0 to 6 are the
        challenge's codes.
        """
        self.given = given
        self.keep = keep
        self.emotion_codes = emotion_codes
        self.found: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """Return the class of `name`; raise PipelineError if it cannot be one."""
        if name not in self.found:
            self.found[name] = self._look_up(name)
        return self.found[name]

    def _look_up(self, name: str) -> str:
        if name in self.given:
            return self.given[name]
        if self.emotion_codes and re.fullmatch(r"[0-6](?:\.0)?", name):
            return CODES[int(name[0])]
        own = class_of(name)
        return own if self.keep else SYNONYMS.get(own, own)

    def require_one_each(self, names: set[str]) -> None:
        """Raise PipelineError if two of `names`, which are side by side, are one class and --map does not say so."""
        first: dict[str, str] = {}
        for name in sorted(names):
            other = first.setdefault(self(name), name)
            if other != name and not {name, other} & set(self.given):
                apart = f"`--map {name}=OTHER`" + (" or --keep-names" if class_of(other) != class_of(name) else "")
                raise PipelineError(
                    f"{other!r} and {name!r} are both the class {self(name)}; `--map {name}={self(name)}` makes them "
                    f"one, {apart} keeps them apart"
                )

    def changes(self) -> list[str]:
        """Return a text for each name that is not its class: `anger -> angry`."""
        return [f"{printable(name)} -> {mapped}" for name, mapped in sorted(self.found.items()) if name != mapped]
