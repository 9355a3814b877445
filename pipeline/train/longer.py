"""Trains a finished training for more epochs: its last state is kept, and a longer training resumes from it.

With a constant learning rate, the first 60 epochs of 80 are those of a training of 60, bit for bit. Other schedules
depend on the number of epochs.
"""

import os
import shutil
from pathlib import Path

from pipeline.core import paths, provenance
from pipeline.core.locks import file_lock
from pipeline.core.schema import Config
from pipeline.train.checkpoint import Checkpoint

FINISHED = paths.CHECKPOINTS / "finished"
LOCK = paths.CHECKPOINTS / "finished.lock"


def keep(cfg: Config, digest: str, checkpoint: Checkpoint) -> None:
    """Keep the state of the finished training `checkpoint`, and no other one; `digest` identifies the images."""
    with file_lock(LOCK):  # DVC's queue may run several trainings at a time
        shutil.rmtree(FINISHED, ignore_errors=True)
        _copy(checkpoint.folder, FINISHED / f"{_key(cfg, digest)}-{cfg.train.epochs}")


def start(cfg: Config, digest: str, checkpoint: Checkpoint) -> None:
    """Start the training `checkpoint`, if it is new, with the state of a shorter one that has finished."""
    if checkpoint.folder.exists():
        return
    with file_lock(LOCK):
        for kept in FINISHED.glob(f"{_key(cfg, digest)}-*"):
            if int(kept.name.rpartition("-")[2]) >= cfg.train.epochs:
                continue
            if cfg.schedule.name == "constant":
                _copy(kept, checkpoint.folder)
            else:
                print(f"training starts at epoch 1: with schedule={cfg.schedule.name} epochs depend on train.epochs")


def _key(cfg: Config, digest: str) -> str:
    """Return what identifies a training but for its number of epochs."""
    settings = cfg.training.model_dump()
    del settings["train"]["epochs"]
    return provenance.fingerprint({cfg.model.name}, settings, digest)


def _copy(folder: Path, target: Path) -> None:
    """Copy the state in `folder`, without the id of its run, whole or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns("run_id"))
    os.replace(partial, target)
