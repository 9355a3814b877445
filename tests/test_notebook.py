"""notebooks/fer2013.ipynb, run cell by cell from an empty folder: it clones, trains and shows the report."""

import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.constants import EMOTIONS
from pipeline.download import synthetic
from tests.conftest import ROOT, Project, with_dvc

NOTEBOOK = ROOT / "notebooks" / "fer2013.ipynb"
# In the place of a Jupyter kernel: the cells need no more of it than `display`, and get its MPLBACKEND.
KERNEL = """
import json, sys, types
shown, display = [], types.ModuleType("IPython.display")
display.HTML = display.Image = str
display.display = shown.append
sys.modules |= {"IPython": types.ModuleType("IPython"), "IPython.display": display}
names = {"__name__": "__main__"}
given, output = sys.argv[1:]
for cell in json.load(open(given)):
    exec(compile(cell, "cell", "exec"), names)
json.dump(shown, open(output, "w"))
"""

BACKEND = "module://matplotlib_inline.backend_inline"


def cells(kind: str = "code") -> list[str]:
    found = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def test_it_is_short_and_has_no_output():
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert sum(len(text.splitlines()) for text in cells()) < 60
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert "ADDRESS" in cells()[0], "the test names the repository in its place"


@pytest.fixture
def repository(new_project: Callable[[str], Project]) -> Project:
    """Return a shrunken copy of the project to clone; its FER-2013 has 336 images."""
    project = new_project("repository")
    project.edit("params.yaml", r"data: synthetic", "data: fer2013")
    counts = project.path("conf/data/fer2013.yaml")
    counts.write_text(re.sub(r"\[\d+, \d+, \d+\]", "[40, 4, 4]", counts.read_text()))
    return with_dvc(project, git=True)


def run(folder: Path, repository: Project) -> tuple[dict, list[str]]:
    """Run the notebook in `folder`, with folder/input as Kaggle's mount; return the run and what was shown."""
    sources = [text.replace("ADDRESS", str(repository.folder)) for text in cells()]
    sources = [text.replace("/kaggle/input", str(folder / "input")) for text in sources]
    given, shown = folder / "cells.json", folder / "shown.json"
    given.write_text(json.dumps(sources))
    Project(folder).run(sys.executable, "-c", KERNEL, str(given), str(shown), real=True, MPLBACKEND=BACKEND)
    return json.loads((folder / "fer2013/results/run.json").read_text()), json.loads(shown.read_text())


@pytest.mark.slow
def test_without_data_it_trains_on_synthetic_faces_and_shows_the_report(repository, tmp_path):
    recorded, (curves, report) = run(tmp_path, repository)
    assert recorded["config"]["data"]["name"] == "synthetic"
    assert curves == "results/curves.png"
    assert "synthetic" in report
    assert (tmp_path / "fer2013/models/model.h5").exists()


@pytest.mark.slow
def test_it_finds_the_images_of_kaggles_mount(repository, tmp_path):
    synthetic.draw(tmp_path / "faces.zip", {name: [40, 4, 4] for name in EMOTIONS}, 1)
    with zipfile.ZipFile(tmp_path / "faces.zip") as archive:
        archive.extractall(tmp_path / "input/datasets/msambare/fer2013")
    recorded, _ = run(tmp_path, repository)
    config = recorded["config"]
    assert (config["data"]["name"], config["model"]["name"]) == ("fer2013", "patch_cnn"), "the experiment sprint"
