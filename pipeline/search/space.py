"""The schema of conf/search/NAME.yaml: the search space, the number of trials, and early stopping."""

import math
from typing import TYPE_CHECKING, Annotated, Any

from omegaconf import OmegaConf
from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from pipeline.core import config, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config
from pipeline.core.section import Count, PositiveInt, Section
from pipeline.core.validation import validate
from pipeline.sweep.plan import find_file

if TYPE_CHECKING:
    from optuna import Trial

SEARCHED = ("augment", "model", "optimizer", "schedule", "train")
"""The groups and sections of the search space; not data and seed, which would make accuracies incomparable."""


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("accepted: a number")
    return value


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float | None):
        raise ValueError("accepted: a string, a number, true, false or null")
    return value


class Range(Section):
    """Numbers from `low` to `high`, uniform in the logarithm if `log` is true; integers if both ends are integers."""

    low: Annotated[Any, AfterValidator(_number)]
    high: Annotated[Any, AfterValidator(_number)]
    log: bool

    @model_validator(mode="after")
    def _not_empty(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"has low {self.low} and high {self.high}; accepted: low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"has low {self.low} and log; accepted: low above 0, or log: false")
        return self

    def ends(self) -> list[str]:
        """Return the smallest and the largest value, as on the command line."""
        return [str(self.low), str(self.high)]

    def draw(self, trial: "Trial", key: str) -> str:
        """Have the study's sampler choose a value, and return it as on the command line."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return str(trial.suggest_int(key, self.low, self.high, log=self.log))
        value = trial.suggest_float(key, self.low, self.high, log=self.log)
        # Five digits are precise enough, and easy to read and type.
        return str(min(max(float(f"{value:.5g}"), self.low), self.high))


class Values(Section):
    """A list of values, or of a group's options."""

    values: Annotated[list[Annotated[Any, AfterValidator(_scalar)]], Field(min_length=1)]

    def ends(self) -> list[str]:
        """Return all values, as on the command line."""
        return [_text(value) for value in self.values]

    def draw(self, trial: "Trial", key: str) -> str:
        """Have the study's sampler choose a value, and return it as on the command line."""
        return _text(trial.suggest_categorical(key, self.values))


def _kind(dimension: Any) -> str:
    listed = isinstance(dimension, Values) or (isinstance(dimension, dict) and "values" in dimension)
    return "Values" if listed else "Range"


Dimension = Annotated[Annotated[Range, Tag("Range")] | Annotated[Values, Tag("Values")], Discriminator(_kind)]


class Stopping(Section):
    """Optuna's MedianPruner: stops a trial whose best val accuracy so far is below the median at its epoch."""

    startup_trials: PositiveInt
    warmup_epochs: PositiveInt


class Search(Section):
    """A search; conf/search/seed_cnn.yaml explains each key."""

    overrides: list[str]
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    trials: PositiveInt
    random_trials: PositiveInt
    stopping: Stopping | None
    seed: Count

    def draw(self, trial: "Trial") -> list[str]:
        """Return the overrides of `trial`: a value for each dimension of the space."""
        return [f"{key}={dimension.draw(trial, key)}" for key, dimension in self.space.items()]


def names() -> str:
    """Return the searches of conf/search/, for the help text."""
    return f"NAME: {', '.join(sorted(path.stem for path in (paths.CONF / 'search').glob('*.yaml')))}"


def load(name: str, trials: list[str], overrides: list[str]) -> Search:
    """Return the search of conf/search/`name`.yaml, with `trials` (["trials=40"] or []) and `overrides`.

    Raises PipelineError if there is no such file, or if a key is unknown or has a wrong value.
    """
    content = OmegaConf.merge(OmegaConf.load(find_file("search", name)), OmegaConf.from_dotlist(trials))
    search = validate(Search, OmegaConf.to_container(content), " ".join([f"conf/search/{name}.yaml", *trials]))
    return search.model_copy(update={"overrides": [*search.overrides, *overrides]})


def corners(name: str, search: Search) -> list[Config]:
    """Return the configurations in which one key has each of its end values, and all other keys have their first.

    Raises PipelineError if a key of the space is unknown, or is set by an override too.
    """
    for key in search.space:
        if key.partition(".")[0] not in SEARCHED:
            accepted = f"{', '.join(SEARCHED)}, and their keys"
            raise PipelineError(f"conf/search/{name}.yaml: unknown key '{key}' in space; accepted: {accepted}")
    for override in search.overrides:
        if (key := override.partition("=")[0]) in search.space:
            raise PipelineError(f"{override}: conf/search/{name}.yaml varies {key} too; remove one of them")
    ends = {key: dimension.ends() for key, dimension in search.space.items()}
    first = {key: values[0] for key, values in ends.items()}
    points = [first, *({**first, key: value} for key, values in ends.items() for value in values[1:])]
    return [
        config.compose([*search.overrides, *(f"{key}={value}" for key, value in point.items())])[0] for point in points
    ]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
