"""The shell scripts and the Makefile keep to POSIX sh and to macOS's make."""

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci/run"]
CHECKS = (["dash", "-n"], ["bash", "--posix", "-n"], ["shellcheck", "-s", "sh"])
GNU = r"sed -i|readlink -f|date -d|stat -c|cp --|base64 -w|\[\[|^ *local |pipefail|<\(|^ *source "
"""What macOS's programs or POSIX sh lack."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_posix_sh(script):
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert not re.findall(GNU, text, re.MULTILINE)
    for check in CHECKS:
        if shutil.which(check[0]):
            done = subprocess.run([*check, script], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_makefile_does_without_gnu_programs_and_names_its_python_by_its_path():
    text = (ROOT / "Makefile").read_text()
    assert not re.findall(GNU, text, re.MULTILINE)
    assert not re.findall(r"^\t@?(?:python|uv) ", text, re.MULTILINE), "macOS's make finds another one"


def test_the_commands_of_the_pages_do_without_gnu_programs():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        assert not re.findall(r"sed -i|readlink -f|date -d|stat -c|base64 -w", page.read_text()), page
