"""Reads what MLflow's scoring servers accept: tables and lists of pictures, as JSON or CSV."""

import csv
import io
import json
from itertools import islice
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.serve.served import COLUMN, OPTIONS

KINDS = ("application/json", "text/csv")
SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")
MAX_PICTURES = 256
"""Pictures of a request."""
MAX_NESTED = 500_000
"""Lists and objects of a body: each needs up to 70 times its bytes."""


def read(content: bytes, kind: str) -> tuple[list[Any], dict[str, bool]]:
    """Return the pictures of a body of this content type, as the client gives them, and its OPTIONS.

    Raises PipelineError if the body has another form, or too much in it.
    """
    pictures, options = (_csv(content), {}) if kind == "text/csv" else _json(content)
    if len(pictures) > MAX_PICTURES:
        raise PipelineError(f"there are too many pictures; accepted: at most {MAX_PICTURES} in a request")
    return pictures, options


def _json(content: bytes) -> tuple[list[Any], dict[str, bool]]:
    if content.count(b"[") + content.count(b"{") > MAX_NESTED:
        raise PipelineError(f"the JSON has too many lists; accepted: at most {MAX_NESTED:,}, or pictures as base64")
    try:
        asked = json.loads(content)
    except RecursionError as error:
        raise PipelineError("the JSON is nested too deeply; accepted: pictures") from error
    except ValueError as error:
        raise PipelineError(f"the body is no JSON: {error}"[:200]) from error
    shapes = [shape for shape in SHAPES if isinstance(asked, dict) and shape in asked]
    if len(shapes) != 1:
        raise PipelineError(f"the JSON has {len(shapes)} inputs; accepted: an object with one of {', '.join(SHAPES)}")
    options = asked.get("params") or {}
    if not isinstance(options, dict) or set(options) - set(OPTIONS) or set(map(type, options.values())) - {bool}:
        raise PipelineError(f"params cannot be read; accepted: {' and '.join(OPTIONS)}, each true or false")
    try:
        return _pictures(shapes[0], asked[shapes[0]]), options
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise PipelineError(f"{shapes[0]} has no pictures; accepted: a list of them, or the column {COLUMN}") from error


def _pictures(shape: str, table: Any) -> list[Any]:
    if shape == "dataframe_split":
        column = list(table["columns"]).index(COLUMN)
        return [row[column] for row in table["data"]]
    if isinstance(table, dict):
        table = table[COLUMN] if isinstance(table[COLUMN], list) else [table[COLUMN]]
    if not isinstance(table, list):
        raise TypeError
    return [row[COLUMN] if isinstance(row, dict) else row for row in table]


def _csv(content: bytes) -> list[Any]:
    csv.field_size_limit(len(content) + 1)  # by default 131,072 characters
    try:
        table = csv.DictReader(io.StringIO(content.decode(), newline=""))
        return [row[COLUMN] for row in islice(table, MAX_PICTURES + 1)]
    except (csv.Error, KeyError, UnicodeDecodeError) as error:
        raise PipelineError(f"the CSV cannot be read; accepted: UTF-8, with the column {COLUMN}") from error
