"""The pages: their figures are those of results/, and README's commands exist."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import yaml

from pipeline import __main__ as pipeline
from pipeline.core import files, paths
from pipeline.readme import __main__ as readme
from tests import yunet
from tests.conftest import ROOT


@pytest.fixture
def committed() -> dict:
    """Return the committed results, to be changed."""
    return readme.results()


def test_the_figures_are_those_of_results(committed):
    for page in readme.BLOCKS:
        assert page.read_text() == readme.filled(page, committed), f"{page}: run `make readme`"


@pytest.mark.xdist_group("finished")
def test_figures_are_written_from_results(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns(".dvc", "data", "mlruns"))
    for page in readme.BLOCKS:
        name = page.relative_to(ROOT)
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(page, copy / name)
    type(finished)(copy).stage("readme")
    accuracy = json.loads((copy / "results/details.json").read_text())["kaggle_test"]["accuracy"]
    text = (copy / "docs/results.md").read_text()
    assert f"{accuracy:.2%} (" in text
    assert "| synthetic (" in text
    assert "on the split that they name.\n<!--" in text, "no minutes, of which it would say where they were measured"
    assert "## Which number to trust" in text
    readme_text = (copy / "README.md").read_text()
    assert "## Use a model" in readme_text
    assert "the committed run |" not in readme_text


def test_what_is_said_of_the_committed_run_follows_its_settings(committed):
    text = readme.written("results", committed)
    for said in ("| val (PublicTest), which chose the epoch |", "| train, augmented, in epoch", "| notebook |"):
        assert said in text
    config = committed["run"]["config"]
    config["train"]["restore_best"] = False
    config["augment"] |= {"flip": False, "rotation": 0.0, "zoom": 0.0, "shift": 0.0}
    text = readme.written("results", committed)
    for said in ("| val (PublicTest) |", "| train, in epoch", "| notebook |", "52.43%"):
        assert said in text
    config["data"]["classes"] = ["happy", "sad"]
    text = readme.written("results", committed)
    assert "| val (PublicTest) |" in text
    assert "notebook" not in text


def test_nothing_is_said_of_fer2013_beside_synthetic_faces(committed):
    committed["details"]["data"]["name"] = "synthetic"
    text = readme.written("results", committed)
    assert "| synthetic (" in text
    assert "| val, which chose the epoch |" in text
    for said in ("PublicTest", "PrivateTest", "notebook", "52.43%", "54.22%", "3 of 7 | 3 of 7"):
        assert said not in text
    assert "the committed run" not in readme.written("experiments", committed)


def test_an_experiment_says_what_it_was_trained_on(committed):
    (sprint,) = (r for r in committed["experiments"] if r["experiment"] == "sprint")
    sprint["data"]["name"] = "synthetic"
    committed["experiments"] = [sprint]
    assert "| `sprint` on synthetic, not on FER-2013 (patch_cnn), 5 seeds |" in readme.written("experiments", committed)
    assert "52.43%" not in readme.written("details", committed)


def test_the_minutes_of_an_experiment_count_its_teachers_and_name_the_machine(tmp_path, monkeypatch):
    minutes = {"taught": [500.0, 502.0], "first": [70.0, 72.0]}
    for name, each in minutes.items():
        result = files.read_json(paths.experiment("first")) | {"experiment": name, "minutes": each}
        result["hardware"] |= {"cores": 2, "processor": "Z80" if name == "first" else "6502"}
        result["config"]["teacher"]["models"] = {"weights/first.h5": ""} if name == "taught" else {}
        files.write_json(tmp_path / f"{name}.json", result)
    monkeypatch.setattr(paths, "experiment", lambda name: tmp_path / f"{name}.json")
    found = readme.results()
    table = readme.written("experiments", found)
    (line,) = (line for line in table.splitlines() if line.startswith("| `taught`"))
    assert "| 572.0 |" in line
    assert "Of the 572 minutes 71 are those of its teacher, `first`." in readme.written("details", found)
    assert "Minutes of `taught`: 2 cores of 6502.\nMinutes of `first`: 2 cores of Z80." in table


def test_the_work_of_a_training_counts_its_teachers(committed):
    assert readme.operations(29_546_720, 60 * 28_709) == pytest.approx(3.0537e14, rel=1e-4)
    work = {each["experiment"]: each["work"] / 1e12 for each in committed["experiments"]}
    first = 6 * 47.86 * 24 * 28_709 / 1e6
    best = first + (6 * 83.88 + 2 * 2 * 47.86) * 46 * 28_709 / 1e6  # its teacher sees each image and its flip
    assert work["first"] == pytest.approx(first, rel=1e-3)
    assert work["best"] == pytest.approx(best, rel=1e-3)
    assert "| 305 | " in readme.written("summary", committed)


def test_an_ablation_without_added_techniques_has_one_table():
    dropout = {"technique": "dropout", "included": True, "gain": 0.01, "deviation": 0.002, "without": 0.5, "with": 0.51}
    about = {"ablation": "mine", "command": "", "overrides": [], "seeds": [1, 2], "data": {"name": "fer2013"}}
    text = readme.written("ablations", {"ablations": [{**about, "techniques": [dropout]}]})
    assert [line for line in text.splitlines() if line.startswith("|")] == [
        "| technique of the experiment | without | with | difference |",
        "|---|---|---|---|",
        "| dropout | 50.00% | 51.00% | +1.00 ± 0.20 |",
    ]


PAGES = [
    *(ROOT / f"{folder}/README.md" for folder in (".", "weights", "benchmarks")),
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_target_and_module_that_is_named_exists(page):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)(?= |`|$)", text, re.MULTILINE)) - {"keeps", "and"} <= targets
    assert set(re.findall(r"python -m pipeline\.(\w+)", text)) <= set(pipeline.commands())
    files = {path.name for folder in ("pipeline", "tests") for path in (ROOT / folder).rglob("*.py")}
    assert (
        set(re.findall(r"\b(\w+\.py)\b", text)) - {"mine.py", "mine_wide.py", "NAME.py", "test_SUBJECT.py"} <= files
    ), "those are a reader's own"


@pytest.mark.parametrize("block", [0, 1], ids=["alone", "with our code"])
@pytest.mark.process
def test_a_program_that_uses_a_network_prints_a_line_for_each_face(block, tmp_path):
    indented = re.findall(r"(?:^ {4}.+\n|^\n(?= {4}))+", (ROOT / "docs/program.md").read_text(), re.MULTILINE)
    code = textwrap.dedent([each for each in indented if "import" in each][block])
    if block and not yunet.FILE.is_file():
        pytest.skip(f"{yunet.FILE} is not there")
    environment = os.environ | ({"XDG_CACHE_HOME": str(yunet.cache(tmp_path))} if block else {})
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert len(ran.stdout.splitlines()) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, link


def test_every_folder_of_the_code_is_in_the_layout():
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"(\w+)/", (ROOT / "docs/layout.md").read_text()))


def test_every_page_is_in_the_index():
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs/README.md").read_text()))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_table_of_commands_says_what_they_say():
    table = (ROOT / "docs/commands.md").read_text().partition("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    assert dict(rows) == pipeline.commands()
    assert [name for name, _ in rows] == sorted(dict(rows))


def test_environment_variables_are_those_of_the_code_and_of_its_libraries():
    table = (ROOT / "docs/commands.md").read_text().partition("## Environment variables")[2]
    variables = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(line.split("|")[1] for line in table.splitlines()[3:])))
    libraries = {"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"}
    code = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "conf").rglob("*.yaml"), ROOT / "Makefile"]
    text = "".join(path.read_text() for path in code)
    assert len(variables) > 8
    assert {name for name in variables if not re.search(rf"\b{name}\b", text)} == libraries
    own = set(re.findall(r"environ\b.{1,12}\"((?:FER2013|PIPELINE)\w+)\"", text))
    assert own <= variables


def test_the_version_is_the_same_everywhere():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text()


MESSAGES = re.findall(r"^\| (`[^|]+`)(?: with [^|]+)? \|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
"""The messages of the troubleshooting page that are the project's own; others are said to be DVC's or MLflow's."""


@pytest.mark.parametrize(
    "message", [m for cell in MESSAGES if " says " not in cell for m in re.findall(r"`(.+?)`", cell)]
)
def test_the_messages_of_the_troubleshooting_page_are_printed_somewhere(message):
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "scripts").glob("*.sh")]
    text = " ".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for path in files)
    for part in message.removeprefix("error: ").split("..."):
        assert part.strip(" ,:") in text, part


SECTIONS = ("data", "augment", "model", "optimizer", "schedule", "teacher", "tracking", "train", "evaluate")


def test_every_key_of_the_configuration_that_a_page_names_exists():
    known = {"train.csv", "model.onnx", "model.tflite", "model.predict"}  # files, and a method of Keras
    for path in [ROOT / "params.yaml", *(ROOT / "conf").glob("*/*.yaml")]:
        content = yaml.safe_load(path.read_text()) or {}
        section = path.parent.name
        known |= {f"{section}.{key}" for key in content} if section in SECTIONS else set()
        known |= {f"{name}.{key}" for name in SECTIONS for key in content.get(name) or {}}
    for page in PAGES:
        named = set(re.findall(rf"[`\s]((?:{'|'.join(SECTIONS)})\.[a-z_]+)(?=[=:`])", page.read_text()))
        assert named <= known, page
