"""Trainings that stop at a known point until the test has interrupted them: no clock decides what a test meets."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.conftest import Project

GIVE_UP = 600
"""Seconds after which a training that does not come is an error, on a machine of any speed."""
SAVING = "pipeline/train/checkpoint.py"
"""What ends an epoch: the method `save` of its `Checkpoint`, whose last argument holds the history."""

_STOP = """

import os
from pathlib import Path


def _stop(save):
    def stop_and_save(self, *arguments):
        if len(arguments[-1].history) == {epoch}:
            for free in Path({folder!r}).glob("free-*"):
                try:
                    taken = free.rename(free.with_name(f"{{free.name[5:]}}-{{os.getpid()}}"))
                except FileNotFoundError:
                    continue  # another training was faster
                taken.read_text()  # a pipe: until the test writes to it
                break
        return save(self, *arguments)

    return stop_and_save


Checkpoint.save = _stop(Checkpoint.save)
"""


class Breakpoint:
    """Stops trainings of a project that have computed an epoch, and have not saved it.

    A training that is killed here resumes after the epoch before.
    """

    def __init__(self, project: Project, epoch: int, trainings: int = 1):
        """Stop the first `trainings` that come to the end of `epoch`; all others pass."""
        self._folder = project.path(f"outputs/breakpoint-{epoch}")
        self._folder.mkdir(parents=True)
        self._seen: set[Path] = set()
        self._pipes = 0
        self.arm(trainings)
        with open(project.path(SAVING), "a") as module:
            module.write(_STOP.format(epoch=epoch, folder=str(self._folder)))

    def arm(self, trainings: int = 1) -> None:
        """Stop as many more."""
        for _ in range(trainings):
            os.mkfifo(self._folder / f"free-{self._pipes}")
            self._pipes += 1

    def wait(self, process: subprocess.Popen) -> int:
        """Wait until `process`, or one that it started, stops here; return the id of that which does."""
        started = time.monotonic()
        while not (new := set(self._folder.glob("[0-9]*")) - self._seen):
            assert process.poll() is None, f"the process ended with {process.returncode} before it was interrupted"
            assert time.monotonic() - started < GIVE_UP, "the process did not come to where it is interrupted"
            time.sleep(0.02)
        taken = new.pop()
        self._seen.add(taken)
        return int(taken.name.partition("-")[2])

    def resume(self, pid: int) -> None:
        """Let the process `pid`, which stops here, go on."""
        (taken,) = self._folder.glob(f"[0-9]*-{pid}")
        taken.write_text("")
        taken.unlink()

    def kill(self, process: subprocess.Popen) -> None:
        """Kill `process` with all that it started, once one of them stops here."""
        stopped = psutil.Process(self.wait(process))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        stopped.wait()
