"""README.md: its figures are those of results/, and its commands exist."""

import re
import shutil

import pytest

from tests.conftest import ROOT


def test_the_figures_are_those_of_the_recorded_run():
    from pipeline import readme

    text = (ROOT / "README.md").read_text()
    for name, expected in (("results", readme.block()), ("recipes", readme.recipes())):
        assert text.partition(readme.begin(name))[2].partition(readme.end(name))[0] == "\n" + expected


@pytest.mark.xdist_group("finished")
def test_figures_are_written_from_results(finished, tmp_path):
    import json

    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns(".dvc", "data", "mlruns"))
    shutil.copyfile(ROOT / "README.md", copy / "README.md")
    type(finished)(copy).stage("readme")
    accuracy = json.loads((copy / "results/metrics.json").read_text())["kaggle_test"]["accuracy"]
    text = (copy / "README.md").read_text()
    assert f"{accuracy:.2%} (" in text
    assert "| faces (" in text
    assert "## Two commands" in text


def test_every_target_and_module_that_is_named_exists():
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)(?= |`|$)", text, re.MULTILINE)) - {"keeps"} <= targets
    for module in re.findall(r"python -m pipeline\.(\w+)", text):
        assert (ROOT / f"pipeline/{module}.py").exists(), module
    for name in re.findall(r"\b(\w+\.py)\b", text):
        assert (ROOT / "pipeline" / name).exists(), name


def test_every_command_and_folder_stands_on_the_map():
    text = (ROOT / "README.md").read_text()
    modules = {path.name for path in (ROOT / "pipeline").glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert not {name for name in modules | folders if f" {name} " not in text.replace("\n", " ")}
