"""docs/extending.md: the files of the page make an architecture of one's own an option like the others."""

import json
import re
import textwrap

import pytest

from tests.conftest import ROOT, Project

PAGE = (ROOT / "docs/extending.md").read_text()

pytestmark = pytest.mark.slow


def block(before: str) -> str:
    """Return the indented block that follows the first line of the page with `before` in it."""
    found = re.search(rf"{re.escape(before)}[^\n]*\n\n((?:(?: {{4}}[^\n]*)?\n)+)", PAGE)
    return textwrap.dedent(found[1]).strip() + "\n"


@pytest.fixture
def extended(project: Project) -> Project:
    """Return a project in which the page's first section has been followed."""
    for name in ("pipeline/models/mine.py", "conf/model/mine.yaml"):
        project.path(name).write_text(block(f"`{name}`:"))
    return project


def test_the_architecture_of_the_page_is_trained_and_has_the_stated_size(extended):
    extended.stage("train", "model=mine")
    (result,) = (json.loads(path.read_text()) for path in extended.path("outputs").glob("*/*/job.json"))
    assert result["status"] == "FINISHED"
    extended.run("cp", "-r", str(ROOT / "tests"), str(ROOT / "pyproject.toml"), ".")
    tests = "tests/test_models.py::test_an_architecture_has_the_stated_size"
    extended.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{tests}[mine]")


def test_layers_that_a_file_must_not_have_are_refused_before_training(extended):
    extended.edit("pipeline/models/mine.py", r"layers.Flatten\(\)", "layers.Lambda(lambda x: x)")
    done = extended.stage("train", "model=mine", check=False)
    assert done.returncode == 1
    assert (
        "pipeline/models/mine.py names 'Lambda' of 'keras.layers'; accepted: a model of Keras' own layers"
        in done.stderr
    )
    assert "epoch  1" not in done.stdout


def test_data_of_ones_own_are_described_by_the_keys_of_the_page(project):
    project.path("conf/data/mine.yaml").write_text(block("of FER-2013 needs none"))
    done = project.stage("download", "data=mine", check=False)
    assert "/path/to/archive.zip, which does not exist" in done.stderr
