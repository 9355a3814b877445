"""dvc.yaml declares exactly what the stages' code reads."""

import ast
import hashlib
from pathlib import Path

import pytest
import yaml

from pipeline.core import paths
from pipeline.core.config import GROUPS

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("download", "preprocess", "train", "evaluate")
DECLARED = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
UNDECLARED = {"tracking"}
"""Sections that change no result: only where it is recorded."""


def imported(module: Path, seen: set[Path]) -> set[Path]:
    """Return the modules of the package that `module` imports, anywhere in it and however far away."""
    if module in seen:
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pipeline":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "pipeline"]
        for name in names:
            path = ROOT / name.replace(".", "/")
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.exists():
                    imported(file, seen)
    return seen


def only_a_docstring(module: Path) -> bool:
    return len(ast.parse(module.read_text()).body) == 1 and module.name == "__init__.py"


def sections_read(stage: str) -> set[str]:
    """Return the sections of the configuration that the stage's module takes from `cfg`."""
    nodes = ast.walk(ast.parse((ROOT / f"pipeline/{stage}.py").read_text()))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cfg"
    }


def outs(stage: str) -> set[str]:
    kinds = ("outs", "metrics", "plots")
    return {next(iter(o)) if isinstance(o, dict) else o for kind in kinds for o in DECLARED[stage].get(kind, [])}


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_module_is_a_dependency_or_in_one_and_none_is_idle(stage):
    code = {ROOT / "pipeline" / f"{stage}.py"} | imported(ROOT / f"pipeline/{stage}.py", set())
    deps = {ROOT / dep for dep in DECLARED[stage]["deps"] if dep.startswith("pipeline/")}
    covered = {file: [dep for dep in deps if dep == file or dep in file.parents] for file in code}
    assert [file for file, by in covered.items() if not by and not only_a_docstring(file)] == []
    assert [by for by in covered.values() if len(by) > 1] == []
    assert deps == {dep for by in covered.values() for dep in by}


@pytest.mark.parametrize("stage", STAGES)
def test_every_section_read_is_declared_and_no_other(stage):
    read = sections_read(stage) - UNDECLARED
    groups = read & set(GROUPS)
    params = {f"choices.{group}" for group in groups} | (read & set(PARAMS))
    conf = {f"conf/{group}/${{choices.{group}}}.yaml" for group in groups} | {"conf/config.yaml"}
    assert read
    assert set(DECLARED[stage]["params"]) == params
    assert {dep for dep in DECLARED[stage]["deps"] if dep.startswith("conf/")} == conf


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_its_module(stage):
    assert DECLARED[stage]["cmd"] == f"python -m pipeline.{stage}"


def test_the_paths_of_the_code_are_those_of_dvc_yaml():
    out = paths.Outputs(ROOT)
    relative = {str(p.relative_to(ROOT)) for p in vars(out).values() if p.suffix}
    named = {o for stage in STAGES for o in outs(stage)}
    assert relative <= named
    assert str(paths.raw("${choices.data}").relative_to(paths.ROOT)) in named
    assert str(paths.arrays("${choices.data}").relative_to(paths.ROOT)) in named


def test_pictures_of_people_stay_out_of_git():
    pictures = ("samples", "inspection", "mistakes", "explanations")
    shown = {"results/report.html", *(f"results/{name}.png" for name in pictures)}
    cached = {o for stage in STAGES for kind in ("outs",) for o in DECLARED[stage].get(kind, []) if isinstance(o, str)}
    ignored = {f"results{line}" for line in (ROOT / "results/.gitignore").read_text().split()}
    assert shown <= cached
    assert {o for o in cached if o.startswith("results/")} == ignored


def test_a_key_stands_in_params_or_in_an_option_never_in_both():
    for group in GROUPS:
        for option in (ROOT / "conf" / group).glob("*.yaml"):
            assert not set(yaml.safe_load(option.read_text())) & set(PARAMS.get(group, {})), option


@pytest.mark.parametrize("option", ["first", "first_flip"])
def test_a_teacher_is_the_network_that_stands_in_weights(option):
    networks = yaml.safe_load((ROOT / f"conf/teacher/{option}.yaml").read_text())["networks"]
    assert networks
    assert networks == {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in networks}


def test_an_option_of_data_is_named_like_its_file_and_one_of_model_like_its_network():
    for option in (ROOT / "conf/data").glob("*.yaml"):
        assert yaml.safe_load(option.read_text())["name"] == option.stem
    networks = {yaml.safe_load(option.read_text())["name"] for option in (ROOT / "conf/model").glob("*.yaml")}
    assert networks == {path.stem for path in (ROOT / "pipeline/models").glob("*.py")} - {"__init__"}
