"""Networks that are hostile or damaged: refused with a line, no code of theirs run, or as good as they were."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.models import saved
from pipeline.train.checkpoint import Checkpoint
from tests import hostile
from tests.torture.outcome import Outcome


def faults(folder: Path, short: bool) -> Iterator[Outcome]:
    """Make hostile files of every kind, then cut and change a trained network's."""
    path, marker = folder / "model.h5", folder / "marker"
    for write in (hostile.bytecode, hostile.pickled, hostile.renamed):
        write(path, marker)
        yield Outcome("network that carries code", _refused(saved.load, path, marker))
    for layer in hostile.layers(marker).values():
        hostile.with_layer(path, layer)
        yield Outcome("network that names code", _refused(saved.load, path, marker))
    for kind in hostile.ELSEWHERE:
        hostile.elsewhere(path, kind)
        yield Outcome("network whose weights are not in it", _refused(saved.load, path, marker))
    for kind in hostile.LARGE:
        hostile.large(path, kind)
        yield Outcome("network that needs much memory", _refused(saved.load, path, marker))
    yield Outcome("checkpoint with a pickle", _checkpoint(folder, marker))
    yield from _damage(folder, short)


def _refused(read: Callable[[Path], object], path: Path, marker: Path) -> str | None:
    """Return what was lost where `path` was read, raised anything but the one error, or ran."""
    try:
        read(path)
        lost = "it was taken"
    except PipelineError:
        lost = None
    except Exception as error:
        lost = f"{type(error).__name__}: {error}"
    if marker.exists():
        marker.unlink()
        lost = "its code ran"
    return lost


def _checkpoint(folder: Path, marker: Path) -> str | None:
    network = keras.models.load_model(hostile.network(folder / "plain.h5"), compile=False)
    np.savez(folder / "state.npz", weight_0=np.array([hostile.Planted(marker)], object))

    def restore(folder: Path) -> None:
        if Checkpoint(folder).restore(network) is None:
            raise PipelineError("the training starts again")

    return _refused(restore, folder, marker)


def _damage(folder: Path, short: bool) -> Iterator[Outcome]:
    """Cut a trained model's file short. DVC and git, not the file, know of a changed bit."""
    path = hostile.network(folder / "trained.h5")
    content, faces = path.read_bytes(), np.random.default_rng(0).random((8, 48, 48, 1), np.float32)
    before = saved.load(path).predict(faces, verbose=0), saved.info(path, 3)
    chosen = random.Random(2013)

    def outcome(damaged: bytes) -> str | None:
        path.write_bytes(damaged)
        try:
            network = saved.load(path)
            after = network.predict(faces, verbose=0), saved.info(path, network.output_shape[-1])
        except PipelineError:
            return None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        same = np.array_equal(before[0], after[0]) and before[1] == after[1]
        return None if same else "it answers otherwise than it did"

    for _ in range(3 if short else 30):
        yield Outcome("network's file cut short", outcome(content[: chosen.randrange(len(content))]))
