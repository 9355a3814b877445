"""Flattens nested dictionaries."""

from typing import Any


def flatten(nested: dict[str, Any]) -> dict[str, Any]:
    """Return `nested` as one level: {"a": {"b": 1}} is {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        inner = flatten(value) if isinstance(value, dict) else {"": value}
        flat |= {f"{key}.{name}" if name else key: v for name, v in inner.items()}
    return flat
