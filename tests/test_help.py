"""`python -m pipeline` and `--help`: what each command does, without starting it."""

import re

import pytest

from pipeline.__main__ import commands
from tests.conftest import ROOT, Project

HYDRA = ("--cfg", "--multirun", "--info", "--resolve", "--config-name")


def test_every_command_is_listed_with_a_line(project: Project):
    printed = project.run("python", "-m", "pipeline").stdout
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/__main__.py")}
    assert len(folders) > 15
    assert {line.split()[0] for line in printed.splitlines() if line.startswith("  ")} == folders
    assert all(0 < len(description.splitlines()[0]) < 100 for description in commands().values())


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_prints_the_usage_and_starts_nothing(project: Project, name):
    before = project.files()
    done = project.stage(name, "--help")
    assert done.stdout.startswith(f"usage: python -m pipeline.{name}")
    assert len(done.stdout.splitlines()) >= 3
    assert done.stderr == ""
    assert project.files() == before
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "weights").glob("*.md")]
    used = re.findall(
        rf"python -m pipeline\.{name}\b([^#`|]*?)$", "\n".join(p.read_text() for p in pages), re.MULTILINE
    )
    options = set(re.findall(r" (--[a-z-]+)", " ".join(used)))
    assert options <= {*re.findall(r"--[a-z-]+", done.stdout), *HYDRA}


def test_help_of_a_stage_lists_the_groups_that_can_be_chosen_and_no_others(project: Project):
    printed = project.stage("train", "--help").stdout
    listed = printed.partition("Groups")[2].splitlines()
    groups = {line.split()[0] for line in listed if line.startswith("  ")}
    assert groups == {
        *("data", "augment", "model", "optimizer", "schedule", "teacher", "tracking", "experiment", "hydra/launcher")
    }
