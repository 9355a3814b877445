"""A training step of each network: against the same network in PyTorch, and against the processor's matrix product."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from pipeline.core import paths, runtime
from pipeline.core.config import compose

NETWORKS = tuple(sorted(path.stem for path in (paths.CONF / "model").glob("*.yaml") if path.stem != "linear"))
BATCH, ROUNDS, SECONDS = 128, 5, 2.0


def measure() -> Iterator[dict]:
    """Yield for each network images per second, over PyTorch's where it is installed, and the share of the bound.

    Each network is measured in a process of its own, in turn with PyTorch and with a matrix product. The bound counts
    three times the multiply-adds of a forward pass, which is the arithmetic of a step.
    """
    for name in NETWORKS:
        command = [sys.executable, "-m", "benchmarks.models", name]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        ours = [r["ours"] for r in found["rounds"]]
        yield {"what": f"train step of {name}, batch {BATCH}", "unit": "images/s", "values": ours}
        if "torch" in found["rounds"][0]:
            yield {
                "what": f"... over the same network in PyTorch {metadata.version('torch')}, channels last",
                "unit": "times",
                "values": [r["ours"] / r["torch"] for r in found["rounds"]],
            }
        yield {
            "what": "... over what the matrix product's speed allows",
            "unit": "times",
            "values": [6 * found["macs"] * r["ours"] / r["product"] for r in found["rounds"]],
        }


def _measured(name: str) -> dict:
    runtime.configure()
    runtime.deterministic(1)
    from pipeline import models
    from pipeline.metrics import cost

    cfg, _ = compose([f"model={name}", "optimizer=adam", "schedule=constant", f"train.batch_size={BATCH}"])
    network = models.build(cfg.model, 7)
    steps = {"ours": _keras(network, cfg)}
    if find_spec("torch"):
        steps["torch"] = _torch(network)
    for step in steps.values():
        step()  # compiles
    rounds = [
        {**{way: BATCH * _per_second(step) for way, step in steps.items()}, "product": _product()}
        for _ in range(ROUNDS)
    ]
    return {"macs": cost.macs(network), "rounds": rounds}


def _batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((BATCH, 48, 48, 1), np.float32), rng.integers(0, 7, BATCH)


def _keras(network: object, cfg: object) -> Callable[[], object]:
    import tensorflow as tf

    from pipeline.train import loop

    images, labels = _batch()
    model = loop.trainable(network, cfg.training, BATCH)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((images, np.eye(7, dtype=np.float32)[labels])).repeat())
    return lambda: float(model.train_function(batches)["loss"])


def _torch(network: object) -> Callable[[], object]:
    import torch

    from benchmarks.torch_twin import Twin

    images, labels = _batch()
    twin = Twin(network).to(memory_format=torch.channels_last).eval()
    x = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():  # the same network, or there is nothing to compare
        probabilities = torch.softmax(twin(x), 1).numpy()
    np.testing.assert_allclose(probabilities, network.predict(images, verbose=0), atol=1e-4)
    twin.train()
    y = torch.tensor(labels)
    optimizer = torch.optim.Adam(twin.parameters(), 1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def _product() -> float:
    """Return the processor's floating-point operations per second in a float32 matrix product."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    return 2 * 2048**3 * _per_second(lambda: a @ a, 1.0)


def _per_second(step: Callable[[], object], seconds: float = SECONDS) -> float:
    started, n = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        step()
        n += 1
    return n / passed


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1])))
