"""`python -m pipeline`: lists the commands."""

import ast
import contextlib
from pathlib import Path


def commands() -> dict[str, str]:
    """Return the commands and what each does: the folders with a `__main__.py`, and their docstrings."""
    found = sorted(path.parent for path in Path(__file__).parent.glob("*/__main__.py"))
    sources = {folder.name: (folder / "__init__.py").read_text("utf-8") for folder in found}
    return {name: ast.get_docstring(ast.parse(source)) or "" for name, source in sources.items()}


if __name__ == "__main__":
    lines = [f"  {name:<12} {description}" for name, description in commands().items()]
    with contextlib.suppress(BrokenPipeError):  # the reader of the output, such as head, has ended
        print("\n".join(["usage: python -m pipeline.COMMAND; --help of each says more", "", *lines]), flush=True)
