"""The pages: their figures are those of results/, and README's commands exist."""

import json
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import ROOT, Project, shrunk


def test_the_figures_are_those_of_results():
    from pipeline.readme import __main__ as readme

    for page, blocks in readme.BLOCKS.items():
        for name, write in blocks.items():
            found = page.read_text().partition(readme.begin(name))[2].partition(readme.end(name))[0]
            assert found == "\n" + write(), f"{name} of {page}"


@pytest.mark.xdist_group("finished")
def test_figures_are_written_from_results(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns(".dvc", "data", "mlruns"))
    for page in ("README.md", "docs/recipes.md", "docs/robustness.md", "weights/README.md"):
        (copy / page).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / page, copy / page)
    type(finished)(copy).stage("readme")
    accuracy = json.loads((copy / "results/metrics.json").read_text())["kaggle_test"]["accuracy"]
    text = (copy / "README.md").read_text()
    assert f"{accuracy:.2%} (" in text
    assert "| faces (" in text
    assert "on the split that they name.\n<!--" in text, "no minutes, of which it would say where they were measured"
    assert "## Comparing runs" in text


@pytest.fixture
def committed(tmp_path) -> Project:
    """Return a copy of the project with the committed run's results."""
    copy = shrunk(tmp_path)
    copy.path("results").mkdir()
    for name in ("metrics.json", "speed.json", "run.json", "history.csv"):
        shutil.copyfile(ROOT / "results" / name, copy.path("results") / name)
    return copy


def recorded(project: Project) -> str:
    """Return the lines of the recorded run's results, of a project in which it is another one than here."""
    return project.run(sys.executable, "-c", "from pipeline.documents import recorded; print(recorded.table())").stdout


def test_what_is_said_of_the_recorded_run_follows_its_settings(committed):
    text = recorded(committed)
    for said in ("| val (PublicTest), which chose the epoch |", "| train, augmented, in epoch", "| notebook |"):
        assert said in text
    run = json.loads(committed.path("results/run.json").read_text())
    run["config"]["train"]["keep"] = "last"
    run["config"]["augment"] |= {"mirror": False, "rotation": 0.0, "zoom": 0.0, "shift": 0.0}
    committed.path("results/run.json").write_text(json.dumps(run))
    text = recorded(committed)
    for said in ("| val (PublicTest) |", "| train, in epoch", "| notebook |", "52.43%"):
        assert said in text
    run["config"]["data"]["classes"] = ["happy", "sad"]
    committed.path("results/run.json").write_text(json.dumps(run))
    assert "| val (PublicTest) |" in recorded(committed)
    assert "notebook" not in recorded(committed)


def test_nothing_is_said_of_fer2013_beside_drawn_faces(committed):
    for name in ("run.json", "metrics.json"):
        committed.edit(f"results/{name}", r'^    "name": "fer2013",(?=\n    "digest")', '    "name": "faces",')
    text = recorded(committed)
    assert "| faces (" in text
    assert "| val, which chose the epoch |" in text
    for said in ("PublicTest", "PrivateTest", "notebook", "52.43%", "54.22%", "3 of 7 | 3 of 7"):
        assert said not in text


def test_minutes_are_said_to_be_those_of_the_machine_that_took_them(committed):
    shutil.copytree(ROOT / "results/experiments", committed.path("results/experiments"))

    def minutes() -> str:
        shown = "from pipeline.documents import recipes; print(recipes.table())"
        return committed.run(sys.executable, "-c", shown).stdout.strip().splitlines()[-1]

    files = [*committed.path("results/experiments").glob("*.json"), committed.path("results/run.json")]
    for file in files:
        file.write_text(re.sub(r'"processor": "[^"]*"', '"processor": "Z80"', file.read_text()))
    assert minutes() == "Minutes on 2 cores of Z80."
    committed.edit("results/run.json", '"Z80"', '"6502"')
    assert minutes().endswith("; of the recorded run: on 2 cores of 6502.")


PAGES = [
    *(ROOT / f"{folder}/README.md" for folder in (".", "weights", "benchmarks")),
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_target_and_module_that_is_named_exists(page):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)(?= |`|$)", text, re.MULTILINE)) - {"keeps"} <= targets
    for module in re.findall(r"python -m pipeline\.(\w+)", text):
        assert (ROOT / f"pipeline/{module}.py").exists(), module
    files = {path.name for folder in ("pipeline", "tests") for path in (ROOT / folder).rglob("*.py")}
    assert set(re.findall(r"\b(\w+\.py)\b", text)) - {"mine.py"} <= files, "mine.py is a reader's own"


@pytest.mark.parametrize("block", [0, 1], ids=["alone", "with our code"])
def test_a_program_that_uses_a_network_prints_a_line_for_each_face(block):
    indented = re.findall(r"(?:^ {4}.+\n|^\n(?= {4}))+", (ROOT / "docs/program.md").read_text(), re.MULTILINE)
    code = textwrap.dedent([each for each in indented if "import" in each][block])
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(ran.stdout.splitlines()) == 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, link


def test_every_command_and_folder_stands_on_the_map():
    text = (ROOT / "README.md").read_text()
    modules = {path.name for path in (ROOT / "pipeline").glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert not {name for name in modules | folders if f" {name} " not in text.replace("\n", " ")}
