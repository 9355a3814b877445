"""Pages for people, by Jinja: HTML files, which need nothing beside them, neither files nor a network, and Markdown."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pipeline.core.redact import redact


def render(template: Path, **values: Any) -> str:
    """Return the page that `template` makes of `values`; a value it lacks is an error.

    It may include page.css, the look that all pages share. Values are escaped in a template named .html.jinja.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, count="{:,}".format, shown=_shown)
    return environment.get_template(template.name).render(**values)


def picture(file: Path) -> str:
    """Return a PNG file as the address of an image inside the page."""
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode("ascii")


def _percent(share: float, digits: int = 2) -> str:
    return f"{share:.{digits}%}"


def _shown(value: object) -> str:
    """Return a setting as text, without the passwords and tokens that an address may carry."""
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
