"""Commands in forks of one process (tests/forks/) are what they are in a process of their own."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.skipif("FORKS" not in os.environ, reason="forks are for Linux")

CODE = """
import os, sys
sys.stdout.reconfigure(errors="backslashreplace")
print("\\udce9", os.getcwd(), os.environ["GIVEN"], sys.argv, sys.stdin.read())
assert "pipeline" not in sys.modules
import numpy, pipeline
print(numpy.random.rand(), pipeline.__path__, file=sys.stderr)
"""


def test_a_fork_has_the_folder_environment_arguments_and_files_of_its_command(project):
    def run() -> subprocess.CompletedProcess:
        return project.run("sh", "-c", 'echo sent | python -c "$CODE" a "b c"', CODE=CODE, GIVEN="ä\n")

    done, again = run(), run()
    assert done.stdout == f"\\udce9 {project.folder} ä\n ['-c', 'a', 'b c'] sent\n\n"
    assert str(project.path("pipeline")) in done.stderr
    assert done.stderr != again.stderr, "two forks draw the same random numbers"


@pytest.mark.parametrize(
    ("code", "returncode", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('error: no')", 1, "error: no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit; atexit.register(print, 'at exit')", 0, ""),
    ],
)
def test_a_fork_ends_as_its_command_does(project, code, returncode, said):
    done = project.run(sys.executable, "-c", code, check=False)
    assert done.returncode == returncode
    assert done.stderr.endswith(said)
    assert done.stdout == ("at exit\n" if "atexit" in code else "")


def test_a_fork_ends_with_who_waits_for_it(project):
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    project.run("timeout", "--signal=KILL", "2", "python", "-c", code, check=False)
    pid = int(project.path("pid").read_text())
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
def test_a_training_in_a_fork_gives_the_bits_of_one_in_a_process_of_its_own(finished, tmp_path):
    copy = Project(shutil.copytree(finished.folder, tmp_path / "copy"))
    copy.path("models/model.h5").unlink()
    copy.stage("train", real=True)
    assert copy.path("models/model.h5").read_bytes() == finished.path("models/model.h5").read_bytes()
