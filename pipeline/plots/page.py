"""Jinja templates: HTML pages that need no other files and no internet connection, and Markdown."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pipeline.core.redact import redact


def render(template: Path, **values: Any) -> str:
    """Return the page of `template` with `values`; a missing value is an error.

    A template may include page.css, the style of all pages. A template named .html.jinja escapes its values.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, count="{:,}".format, setting=_setting)
    return environment.get_template(template.name).render(**values)


def picture(file: Path) -> str:
    """Return a PNG file as a data URL, the address of an image inside the page."""
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode("ascii")


def _percent(share: float, digits: int = 2) -> str:
    return f"{share:.{digits}%}"


def _setting(value: object) -> str:
    """Return a setting as text, without the passwords and tokens that an address may contain."""
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
