"""Validates the content of a file or of the command line against a schema; each mistake is one line."""

from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError

from pipeline.core.errors import PipelineError
from pipeline.core.section import Section

S = TypeVar("S", bound=Section)
MOST = 5
"""The largest number of mistakes in one message."""


def validate(kind: type[S], content: Any, source: str, prefix: str = "") -> S:
    """Return `content` as a `kind`; messages begin with `source`, its file, and name keys below the section `prefix`.

    Raises PipelineError with a line for each key that is unknown, missing, has a wrong type or is out of bounds.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_line(kind, each, prefix) for each in error.errors()[:MOST]]
        raise PipelineError(f"{source}: " + "\n".join(lines)) from error


def _line(kind: type[Section], error: Any, prefix: str) -> str:
    """Return a line with the key, its value, and what is accepted."""
    names, section = [prefix] if prefix else [], kind
    annotation: Any = kind
    for part in error["loc"]:
        annotation = _unwrap(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section = annotation
        annotation, is_key = _step(annotation, part)
        names += [str(part)] if is_key else []
    key = ".".join(names)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'; accepted: {', '.join(section.model_fields)}"
    if error["type"] == "missing":
        return f"key '{key}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "accepted:").replace("Input tag", "name")
    states_input = error["type"] == "value_error" and isinstance(error["input"], dict)  # the message of a validator
    if key and "accepted:" in message and not states_input:
        return f"{key} is {error['input']!r}; {message}"
    return f"{key} {message}".strip()


def _step(annotation: Any, part: Any) -> tuple[Any, bool]:
    """Return the annotation of `part` of an error's location, and whether `part` is a key of the content.

    Pydantic's locations also contain the kind of a section that has several kinds.
    """
    if isinstance(annotation, type) and issubclass(annotation, Section):
        field = annotation.model_fields.get(str(part))
        return (field.annotation if field else None), True
    if get_origin(annotation) in (Union, UnionType):
        for kind in map(_unwrap, get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, Section) and part in (kind.__name__, *_tags(kind)):
                return kind, False
        return None, True
    arguments = get_args(annotation)
    return (arguments[-1] if arguments else None), True  # of a dictionary or a list


def _unwrap(annotation: Any) -> Any:
    """Return `annotation` without its constraints, and without None if that leaves one kind."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return _unwrap(kinds[0]) if get_origin(annotation) in (Union, UnionType) and len(kinds) == 1 else annotation


def _tags(kind: type[Section]) -> tuple[Any, ...]:
    field = kind.model_fields.get("name")
    return get_args(field.annotation) if field else ()
