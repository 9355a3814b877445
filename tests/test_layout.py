"""The rooms of pipeline/: imports go down only, without a circle, and what decides numbers imports nothing above it."""

from graphlib import TopologicalSorter

import pytest

from tests.imports import PACKAGE, closure, imported, modules, names, only_a_docstring, relative, room

LOWEST = ("core", "web", "data", "models", "metrics", "tracking", "plots", "faces")
ROOMS = (*LOWEST, "download", "preprocess", "train", "sweep")
"""The rooms that others import, from the lowest to the highest; each may import those before it."""
RECORDS_SHOWS_OR_STARTS = {"tracking", "plots", "sweep", "search", "compare", "show", "serve", "ui"}
STARTS = {f"pipeline/core/{name}.py" for name in ("command", "config", "locks", "params", "progress", "stage")}


def test_no_module_is_part_of_a_circle():
    graph = {m: {other for other in imported(m) if other != m and not only_a_docstring(other)} for m in modules()}
    assert len(list(TopologicalSorter(graph).static_order())) > 50  # raises CycleError, with the circle


def test_core_imports_nothing_outside_itself():
    outside = {
        other for module in (PACKAGE / "core").glob("*.py") for other in imported(module) if room(other) != "core"
    }
    assert {relative(other) for other in outside} <= {"pipeline/__init__.py"}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_itself_and_lower_rooms(name):
    lower = {"", *ROOMS[: ROOMS.index(name) + 1]}
    shared = [module for module in modules() if room(module) == name and module.name != "__main__.py"]
    assert shared
    for module in shared:
        assert {room(other) for other in imported(module)} <= lower, relative(module)


def test_no_module_imports_a_command():
    for module in modules():
        assert not [other for other in imported(module) if other.name == "__main__.py"], relative(module)


def test_a_command_imports_only_itself_and_shared_rooms():
    for module in modules():
        if room(module) not in ("", *ROOMS):
            assert {room(other) for other in imported(module)} <= {"", room(module), *ROOMS}, relative(module)


def test_what_decides_the_weights_imports_nothing_that_records_shows_or_starts():
    deciding = closure(PACKAGE / "train" / "fit.py", *(PACKAGE / "models").glob("*.py"))
    assert PACKAGE / "data" / "augment.py" in deciding
    assert not {room(module) for module in deciding} & RECORDS_SHOWS_OR_STARTS
    assert not {relative(module) for module in deciding} & STARTS


@pytest.mark.parametrize(("package", "doors"), [("mlflow", {"tracking", "merge", "serve"}), ("matplotlib", {"plots"})])
def test_a_library_has_one_door(package, doors):
    using = {room(m) for m in modules() if any(name.split(".")[0] == package for name in names(m))}
    assert using <= doors
