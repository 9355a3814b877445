"""Nested dictionaries as flat ones."""

from typing import Any


def flatten(nested: dict[str, Any], separator: str = ".") -> dict[str, Any]:
    """Return `nested` as one level: {"a": {"b": 1}} is {"a.b": 1}."""
    flat = {}
    for key, value in nested.items():
        inner = flatten(value, separator) if isinstance(value, dict) else {"": value}
        flat |= {f"{key}{separator}{name}" if name else key: v for name, v in inner.items()}
    return flat
