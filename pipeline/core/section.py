"""The base class of every section of the configuration, and the types of its values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
Portion = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Widths = Annotated[list[PositiveInt], Field(min_length=1)]


class Section(BaseModel):
    """A section with exactly the declared keys, of exactly the declared types; read-only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Architecture(Section):
    """The options of an architecture: a class `Options` in pipeline/models/NAME.py, which is also its name."""

    name: str
