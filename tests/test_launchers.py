"""Launchers: where the jobs of a sweep run changes nothing but the time they take."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import psutil
import pytest
from omegaconf import OmegaConf

from pipeline.core import files, paths, provenance
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking
from pipeline.sweep import launchers
from tests.conftest import ROOT, SECONDS, Project
from tests.interrupt import Breakpoint
from tests.test_sweep import folder, runs

pytestmark = pytest.mark.slow

OPTIONS = sorted(path.stem for path in (paths.CONF / "hydra/launcher").glob("*.yaml"))
SERVER = Tracking(uri="http://127.0.0.1:5000", experiment="test")
LOCAL = Tracking(uri=None, experiment="test")
SEEDS = ("model=linear", "seed=1,2,3")
CORES = provenance.hardware()["cores"]


def plugin(name: str) -> bool:
    return find_spec(f"hydra_plugins.hydra_{name}_launcher") is not None


needs_submitit = pytest.mark.skipif(not plugin("submitit"), reason="the extra `cluster` is not installed")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_with_its_plugin(option):
    try:
        launchers.check([f"hydra/launcher={option}"], SERVER)
    except PipelineError as error:
        if "is not installed" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.skipif(plugin("ray"), reason="the extra `cluster` is installed")
@pytest.mark.parametrize("option", ["ray_cluster", "slurm"])
def test_a_missing_plugin_is_told_in_a_line_before_any_work(project, option):
    before = project.files()
    done = project.stage("train", "-m", f"hydra/launcher={option}", "tracking=server", "seed=1,2", check=False)
    assert done.returncode == 1
    assert "is not installed; `make cluster`" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert project.files() == before


@needs_submitit
def test_jobs_on_many_machines_record_on_a_server():
    with pytest.raises(PipelineError, match="add tracking=server"):
        launchers.check(["hydra/launcher=slurm"], LOCAL)
    launchers.check(["hydra/launcher=parallel"], LOCAL)


@pytest.mark.parametrize(
    ("launcher", "jobs", "threads"),
    [
        ({}, 4, None),
        ({"n_jobs": -1}, 1, None),
        ({"n_jobs": -1}, 1000, 1),
        ({"n_jobs": 1}, 4, None),
        ({"n_jobs": 2}, 4, max(1, CORES // 2)),
        ({"n_jobs": 1000}, 2, max(1, CORES // 2)),
        ({"cpus_per_task": 4}, 1, 4),
        ({"ray": {"remote": {"num_cpus": 3}}}, 8, 3),
        ({"ray": {"remote": {"num_cpus": 0.5}}}, 8, 1),
    ],
)
def test_jobs_at_the_same_time_share_the_cores(launcher, jobs, threads):
    assert launchers.threads(OmegaConf.create(launcher), jobs) == threads


def test_output_of_jobs_that_share_a_terminal_is_whole_lines_with_the_jobs_number():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with contextlib.redirect_stdout(launchers.Labelled(terminal, "[1/2]")):
        print("epoch ", end="")
        assert not terminal.getvalue()
        print("1: loss 2\nepoch 2: loss 1")
        assert not contextlib.sys.stdout.isatty()
    assert terminal.getvalue() == "[1/2] epoch 1: loss 2\n[1/2] epoch 2: loss 1\n"


def losses(project: Project, jobs: int = 3) -> list[list[float]]:
    return [
        [row["val_loss"] for row in files.read_csv(folder(project) / str(i) / "results/history.csv")]
        for i in range(jobs)
    ]


@pytest.fixture(scope="module")
def alone(new_project) -> Project:
    """Return a project whose sweep ran in one process."""
    project = new_project("alone")
    project.stage("train", "-m", *SEEDS)
    return project


@pytest.mark.xdist_group("launchers")
class TestSweep:
    def test_jobs_side_by_side_give_what_they_give_one_after_the_other(self, alone, project):
        done = project.stage("train", "-m", "hydra/launcher=parallel", "hydra.launcher.n_jobs=2", *SEEDS)
        assert losses(project) == [pytest.approx(loss, rel=1e-5) for loss in losses(alone)]
        assert sorted(run.info.status for run in runs(project)) == ["FINISHED"] * 4
        epochs = [line for line in done.stdout.splitlines() if "epoch" in line and "loss" in line]
        assert sorted(line[:6] for line in epochs) == ["[1/3] ", "[2/3] ", "[3/3] "]

    def test_another_launcher_goes_on_with_the_same_sweep(self, alone):
        done = alone.stage("train", "-m", "hydra/launcher=parallel", *SEEDS)
        assert done.stdout.count("already finished") == 3
        assert len(runs(alone)) == 4

    @needs_submitit
    def test_submitit_gives_what_one_process_gives(self, alone, project):
        project.stage("train", "-m", "hydra/launcher=submitit_local", *SEEDS)
        assert losses(project) == [pytest.approx(loss, rel=1e-5) for loss in losses(alone)]
        assert sorted(run.info.status for run in runs(project)) == ["FINISHED"] * 4


def test_a_killed_worker_ends_the_sweep_with_one_error_and_the_same_command_goes_on(project):
    project.edit("params.yaml", "epochs: 1", "epochs: 3")
    third = Breakpoint(project, epoch=3, trainings=2)
    arguments = ("hydra/launcher=parallel", "hydra.launcher.n_jobs=2", "model=linear", "seed=1,2")
    errors = project.path("stderr")
    command = "exec python -m pipeline.train -m " + " ".join(arguments)
    sweep = project.start("bash", "-c", f"{command} 2>{errors}")
    one, _ = (third.wait(sweep) for _ in range(2))
    workers = psutil.Process(sweep.pid).children(recursive=True)
    os.kill(one, signal.SIGKILL)
    sweep.communicate()
    said = errors.read_text()
    assert sweep.returncode == 1
    assert "the launcher ended before its jobs: TerminatedWorkerError" in said
    assert "the same command" in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(workers, timeout=SECONDS)[1], "workers are left"
    project.edit("conf/hydra/launcher/parallel.yaml", "n_jobs: -1", "n_jobs: 1")
    done = project.stage("train", "-m", *arguments)
    assert done.stdout.count("resuming after epoch 2 of 3") == 2
    results = [json.loads((folder(project) / str(i) / "job.json").read_text()) for i in (0, 1)]
    assert [result["status"] for result in results] == ["FINISHED"] * 2
    assert sorted(run.info.status for run in runs(project)) == ["FINISHED"] * 3


def test_each_job_that_runs_beside_others_sees_one_gpu(project):
    arguments = ("hydra/launcher=parallel", "hydra.launcher.n_jobs=2", "model=linear", "seed=1,2,3,4")
    project.stage("train", "-m", *arguments, CUDA_VISIBLE_DEVICES="4,7")
    records = [json.loads(path.read_text()) for path in project.path("multirun").glob("*/*/results/run.json")]
    assert len(records) == 4
    seen = {record["hardware"]["cuda_visible_devices"] for record in records}
    assert seen <= {"4", "7"}


def test_two_workers_never_take_the_same_gpu(tmp_path):
    code = (
        "import sys; from pathlib import Path; from omegaconf import OmegaConf; from pipeline.core import paths;"
        "from pipeline.sweep import launchers; paths.HOME = Path(sys.argv[1]);"
        "(paths.HOME / 'outputs').mkdir(exist_ok=True);"
        "launchers.take_gpu(OmegaConf.create({'n_jobs': 2})); print(launchers.gpus(), flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "4,7"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, env=environment, cwd=ROOT, **pipes) for _ in range(2)]
    seen = sorted(worker.stdout.readline().strip() for worker in workers)
    for worker in workers:
        worker.communicate()
    assert seen == ["['4']", "['7']"]
