"""Finds the trained model that `train.init` names, and pins it by its SHA-256."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core import config, paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Config, Tracking


@contextmanager
def initial_model(cfg: Config, pinned: bool) -> Iterator[tuple[Config, Path | None]]:
    """Yield `cfg` with the SHA-256 of the model that `train.init` names, and its .h5 file; None without one.

    Files are relative to the checkout; a model in MLflow is downloaded until the end. With `pinned`, the SHA-256 must
    be given. Raises PipelineError if it is missing or another one, or there is no such model.
    """
    if cfg.train.init is None:
        yield cfg, None
        return
    name, _, expected = cfg.train.init.partition("#sha256=")
    with tempfile.TemporaryDirectory() as folder:
        file = _file(name, cfg.tracking, Path(folder))
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        init = f"{name}#sha256={found}"
        if pinned and not expected:
            raise PipelineError(f"train.init has no SHA-256, so DVC would not notice another file; accepted: {init}")
        if expected not in ("", found):
            raise PipelineError(f"train.init names another model than {name} is now; its SHA-256: {found}")
        yield cfg.model_copy(update={"train": cfg.train.model_copy(update={"init": init})}), file


def pin(cfg: Config) -> Config:
    """Return `cfg` with the SHA-256 of the model that `train.init` names, if it names one."""
    with initial_model(cfg, pinned=False) as (resolved, _):
        return resolved


def pinned(overrides: list[str]) -> list[str]:
    """Return `overrides` with the SHA-256 of the model that their `train.init` names: DVC wants it."""
    init = pin(config.compose(overrides)[0]).train.init
    return [*overrides, f"train.init='{init}'"] if init else overrides


def _file(name: str, tracking: Tracking, folder: Path) -> Path:
    if name.endswith(".h5") and ":" not in name:
        file = paths.ROOT / name
        if not file.is_file():
            raise PipelineError(f"{file} is missing; accepted for train.init: the .h5 file of a trained model")
        return file
    from pipeline.tracking import finding
    from pipeline.tracking.tracker import Tracker

    run = name.removeprefix("runs:/").partition("/")[0] if name.startswith("runs:/") else name
    return finding.fetch(Tracker(tracking), run, "model.h5", folder)
