"""The locks hold what pyproject.toml asks for, at one version each, with hashes, and name no index."""

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imports import ROOT, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
LOCKS = ["", *(f"-{group}" for group in GROUPS)]
NOT_IMPORTED = {"dvc", "hydra-joblib-launcher", "python-dateutil", "ruamel-yaml-clib"}
"""Programs, plugins, and bounds of what others ask for."""


def asked(texts: list) -> list[Requirement]:
    return [Requirement(text) for text in texts if isinstance(text, str)]


def locked(lock: str) -> dict[str, set[str]]:
    """Return the lines of each package in the lock, each with its version and marker, without its hashes."""
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^\S+==.*", (ROOT / f"requirements{lock}.txt").read_text(), re.MULTILINE):
        found.setdefault(line.partition("==")[0], set()).add(line.rstrip(" \\"))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes_and_no_address(lock):
    text = (ROOT / f"requirements{lock}.txt").read_text()
    assert re.fullmatch(r"(\S+==[^\s;]+( ; [^\\\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)+", text)
    assert "://" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for_at_the_versions_of_the_others(lock):
    wanted = GROUPS[lock[1:]] if lock else PROJECT["project"]["dependencies"]
    found, runtime, dev = locked(lock), locked(""), locked("-dev")
    for requirement in asked(wanted):
        versions = [line.partition("==")[2].split()[0] for line in found[canonicalize_name(requirement.name)]]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    for name, lines in found.items():
        for other in (runtime, dev):
            versions = {line.split()[0] for line in other.get(name, lines)}
            assert {line.split()[0] for line in lines} <= versions, name
    assert not set(PROJECT["tool"]["uv"]["exclude-dependencies"]) & set(found)


OPTIONAL = "pillow_heif"
"""Used where a user has installed it, as the message on a HEIC picture says."""


def test_the_code_imports_what_pyproject_declares_and_nothing_else():
    provides = metadata.packages_distributions()
    names = set()
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    provided = {
        name: {canonicalize_name(package) for package in provides[name]}
        for name in names - {"pipeline", OPTIONAL, *sys.stdlib_module_names}
    }
    declared = {canonicalize_name(r.name) for r in asked(PROJECT["project"]["dependencies"])}
    export = {canonicalize_name(r.name) for r in asked(GROUPS["export"])}
    assert not [name for name, packages in provided.items() if not packages & (declared | export)]
    assert declared - NOT_IMPORTED <= set().union(*provided.values())
