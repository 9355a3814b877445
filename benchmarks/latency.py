"""A trained network at work in each runtime: one face at a time, and many in batches."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.core import paths, runtime
from pipeline.models.runtimes import Predict

ROUNDS, FACES, BATCH = 5, 200, 256


def measure() -> Iterator[dict]:
    """Yield milliseconds of a single face (median, 99th percentile) and images/s, in each runtime and over predict.

    The runtimes take turns. LiteRT and ONNX Runtime compute a single face with one thread, and with two, and a batch
    with all processors.
    """
    runtime.configure()
    network = paths.weights("small")
    with TemporaryDirectory() as folder:
        ways = _ways(network, Path(folder))
        rounds = [{way: _measured(*predict) for way, predict in ways.items()} for _ in range(ROUNDS)]
    name = network.relative_to(paths.ROOT)
    predict = next(iter(ways))
    for way in ways:
        latency = [1000 * np.median(r[way]["seconds"]) for r in rounds]
        yield {
            "what": f"{name}, one face, {way}: median",
            "unit": "ms",
            "values": latency,
            "target": "1 ms for one way",
        }
        tail = [1000 * np.percentile(r[way]["seconds"], 99) for r in rounds]
        yield {"what": "... 99th percentile", "unit": "ms", "values": tail}
        if way != predict:
            times = [np.median(r[predict]["seconds"]) / np.median(r[way]["seconds"]) for r in rounds]
            yield {"what": f"... times as fast as {predict}", "unit": "times", "values": times}
        if "images" in rounds[0][way]:
            yield {"what": f"... batches of {BATCH}", "unit": "images/s", "values": [r[way]["images"] for r in rounds]}


def _ways(network: Path, folder: Path) -> dict[str, tuple[Predict, Predict | None]]:
    """Return for each runtime what predicts single faces, and what predicts batches where that is another thing."""
    from pipeline.export import formats
    from pipeline.models import runtimes, saved

    model = saved.load(network)
    for name, ending in formats.ENDINGS.items():
        formats.write(model, name, folder / f"net{ending}", _faces(BATCH))
    keras, compiled = lambda images: model.predict(images, verbose=0), runtimes.load(network)
    ways: dict[str, tuple[Predict, Predict | None]] = {
        "Keras' predict": (keras, keras),
        "TensorFlow, compiled": (compiled, compiled),
    }
    for what, ending in (("LiteRT", ".tflite"), ("LiteRT, int8", "-int8.tflite"), ("ONNX Runtime", ".onnx")):
        one, two, batch = (runtimes.load(folder / f"net{ending}", threads) for threads in (1, 2, os.cpu_count() or 1))
        ways |= {f"{what}, 1 thread": (one, batch), f"{what}, 2 threads": (two, None)}
    return ways


def _measured(single: Predict, batched: Predict | None) -> dict:
    one = _faces(1)
    runs = FACES if _seconds(single, one) < 0.02 else FACES // 4
    found: dict = {"seconds": [_seconds(single, one) for _ in range(runs + 10)][10:]}
    if batched:
        many = _faces(BATCH)
        found["images"] = BATCH / np.median([_seconds(batched, many) for _ in range(12)][2:])
    return found


def _faces(n: int) -> np.ndarray:
    return np.random.default_rng(0).random((n, 48, 48, 1), np.float32)


def _seconds(call: Callable, images: np.ndarray) -> float:
    started = time.perf_counter()
    call(images)
    return time.perf_counter() - started
