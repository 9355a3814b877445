"""The state of an unfinished training on disk, from which it resumes bit for bit."""

import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.core import files
from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import keras


class State(NamedTuple):
    """The state after an epoch besides the model: the history so far, and the weights of the best epoch."""

    history: list[dict[str, float]]
    best: list[np.ndarray]


class Checkpoint:
    """One training's state in `folder`: replaced as a whole after each epoch, and verified when it is read.

    The folder's name is the fingerprint of everything the training depends on.
    """

    def __init__(self, folder: Path):
        """Use `folder`, which need not exist."""
        self.folder = folder
        self._file = folder / "state.npz"
        self._run = folder / "run_id"

    def run_id(self) -> str | None:
        """Return the id of this training's MLflow run, if it has one."""
        return self._run.read_text(errors="replace") if self._run.exists() else None

    def begin(self, run_id: str) -> None:
        """Save the id of this training's MLflow run."""
        files.replace(self._run, run_id.encode())

    def save(self, model: "keras.Model", state: State) -> None:
        """Write the weights, the optimizer's variables and `state`; a reader sees the old ones or these."""
        arrays = {f"weight_{i}": w for i, w in enumerate(model.get_weights())}
        arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
        arrays |= {f"best_{i}": w for i, w in enumerate(state.best)}
        arrays["history"] = np.frombuffer(json.dumps(state.history).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, **arrays)
        files.replace(self._file, content.getvalue())

    def restore(self, model: "keras.Model") -> State | None:
        """Set `model` to the saved state and return the rest of it; None if there is none that can be read.

        The model's optimizer must be built.
        """
        try:
            read = files.read_npz(self._file)
        except FileNotFoundError:
            return None
        except (OSError, PipelineError) as error:
            print(f"warning: {error}; training starts again")
            return None
        weights, variables = model.get_weights(), model.optimizer.variables
        model.set_weights([read[f"weight_{i}"] for i in range(len(weights))])
        for i, variable in enumerate(variables):
            variable.assign(read[f"optimizer_{i}"])
        history = json.loads(read["history"].tobytes())
        return State(history, [read[f"best_{i}"] for i in range(len(weights))])

    def discard(self) -> None:
        """Remove the state: the training is recorded elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
