"""The project's own import graph, read from the code without running it."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pipeline"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def imported(module: Path) -> frozenset[Path]:
    """Return the project's modules that `module` imports when it runs: not those under `if TYPE_CHECKING`."""
    paths = [ROOT / name.replace(".", "/") for name in names(module) if name.split(".")[0] == "pipeline"]
    files = {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")}
    return frozenset(file for file in files if file.exists())


@functools.cache
def names(module: Path) -> frozenset[str]:
    """Return what `module` imports when it runs, dotted."""
    found: set[str] = set()
    for node in _running(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _running(node)


def closure(*start: Path, without: tuple[str, ...] = ()) -> set[Path]:
    """Return `start` and all that they import, directly or not, but for the modules and rooms `without`."""
    seen: set[Path] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module in seen or room(module) in without or relative(module) in without:
            continue
        seen.add(module)
        waiting += imported(module)
    return {module for module in seen if not only_a_docstring(module)}


def relative(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def room(module: Path) -> str:
    """Return the room of a module: the folder below pipeline/, or an empty text for pipeline/ itself."""
    parts = module.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@functools.cache
def only_a_docstring(module: Path) -> bool:
    return module.name == "__init__.py" and len(ast.parse(module.read_text("utf-8")).body) == 1
