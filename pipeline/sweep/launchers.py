"""Hydra's launchers, which run the jobs of a sweep; each is an option of conf/hydra/launcher/."""

import contextlib
import io
import os
from pathlib import Path
from typing import TextIO

import hydra
from filelock import FileLock, Timeout
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.core import config, paths, provenance
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Tracking

PLUGINS = {
    "joblib": "hydra-joblib-launcher",
    "ray": "hydra-ray-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
"""The package of each launcher."""
ON_MANY_MACHINES = ("ray_cluster", "slurm")
_HELD: list[FileLock] = []
"""The lock of the GPU that this process uses."""


def check(overrides: list[str], tracking: Tracking) -> None:
    """Raise PipelineError if the launcher of `overrides` is not installed, or cannot use the store of `tracking`.

    Jobs on several machines cannot share a store in a file. `overrides` has only Hydra's own keys.
    """
    config.prepare()
    try:
        with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
            composed = hydra.compose("config", overrides, return_hydra_config=True)
    except MissingConfigException as error:
        name = (error.missing_cfg_file or "").removeprefix("hydra/launcher/")
        if name not in PLUGINS:
            raise
        raise PipelineError(
            f"hydra/launcher: {PLUGINS[name]} is not installed; `make cluster` installs what ray_cluster and slurm "
            "need; parallel needs no installation"
        ) from error
    chosen = composed.hydra.runtime.choices["hydra/launcher"]
    if chosen in ON_MANY_MACHINES and tracking.uri is None:
        raise PipelineError(f"hydra/launcher={chosen} needs a tracking server; add tracking=server")


def threads(launcher: DictConfig, jobs: int) -> int | None:
    """Return the number of threads of each of `jobs` jobs; None is one per core.

    Jobs that run at the same time on one machine share its cores.
    """
    if at_once := OmegaConf.select(launcher, "n_jobs"):  # joblib; -1 is one per core
        cores = provenance.hardware()["cores"]
        at_once = min(at_once if at_once > 0 else cores, jobs)
        return max(1, cores // at_once) if at_once > 1 else None
    cpus = OmegaConf.select(launcher, "ray.remote.num_cpus") or OmegaConf.select(launcher, "cpus_per_task")
    return max(1, int(cpus)) if cpus else None


def take_gpu(launcher: DictConfig) -> None:
    """Make a single GPU visible to this process if parallel jobs run on a machine with several GPUs.

    Only for joblib: Ray (`ray.remote.num_gpus`) and Slurm (`gres`) assign GPUs themselves. The GPU is free again when
    the process ends. If there are more workers than GPUs, workers share them.
    """
    visible = gpus()
    if not OmegaConf.select(launcher, "n_jobs") or len(visible) < 2:
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[os.getpid() % len(visible)]
    for gpu in visible:
        lock = FileLock(paths.HOME / "outputs" / f"gpu-{gpu}.lock")
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            _HELD.append(lock)
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
            return


def gpus() -> list[str]:
    """Return the GPUs this process may use: the value of CUDA_VISIBLE_DEVICES, or all GPUs of NVIDIA's driver."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu for gpu in visible.split(",") if gpu not in ("", "-1")]
    return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def explain(error: Exception) -> str:
    """Return a line on why a launcher ended before its jobs, such as a killed worker or an unreachable cluster.

    Raises `error` again if it is a mistake in the configuration.
    """
    if isinstance(error, PipelineError | HydraException | OmegaConfBaseException):
        raise error
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
    return f"the launcher ended before its jobs: {type(error).__name__}: {reason[:300]}"


class Labelled(io.TextIOBase):
    """A stdout that other jobs use too; it is not a terminal, so there are no progress bars."""

    def __init__(self, stream: TextIO, label: str):
        """Write whole lines after `label` to `stream`."""
        self.stream, self.label, self.rest = stream, label, ""

    def write(self, text: str) -> int:
        """Write the lines that end in `text`; keep the rest."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.stream.write(f"{self.label} {line}\n")
        self.stream.flush()
        return len(text)
