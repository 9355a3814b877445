"""A training step with each of the run-time settings taken back or changed: oneDNN, input, threads, batches."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

ROUNDS = 3
STEP = """
import json, os, sys, time
from pipeline.core import runtime
changed, _, value = sys.argv[1].partition("=")
if changed == "oneDNN":
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
runtime.configure(int(value) if changed == "threads" else None)
runtime.deterministic(1)
import tensorflow as tf
from benchmarks import data
from pipeline import models
from pipeline.data import arrays, batches
from pipeline.train import loop, targets
from pipeline.core.config import compose
batch = int(value) if changed == "batch" else 32
steps = 40 * 32 // batch
chosen = ["augment=affine", "model=seed_cnn", "optimizer=adam", "schedule=constant", "teacher=none"]
precision = changed if changed == "bfloat16" else "float32"
cfg, _ = compose([*chosen, f"train.batch_size={batch}", f"train.precision={precision}"])
split = arrays.load(data.folder(), "train", cfg.data.classes)
model = loop.trainable(models.build(cfg.model, 7), cfg.training, len(split))
labels = targets.targets(7, cfg.train.label_smoothing)
source = batches.training(split, labels, cfg.augment, cfg.train.batch_size, 1, range(1, 100))
if changed == "steps at once":
    model.steps_per_execution = int(value)
if changed == "autotuning":
    options = tf.data.Options()
    options.autotune.enabled = True
    source = source.with_options(options)
model.fit(source, steps_per_epoch=steps // 2, verbose=0, shuffle=False)
seconds = []
for _ in range(3):
    started = time.perf_counter()
    model.fit(source, steps_per_epoch=steps, verbose=0, shuffle=False)
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds": seconds}))
"""
CHANGES = {
    "oneDNN": "TensorFlow's own kernels, not oneDNN's",
    "autotuning": "tf.data's autotuning",
    "threads=1": "one thread",
    "steps at once=8": "8 steps in one call",
    "batch=64": "batches of 64",
    "batch=128": "batches of 128",
    "bfloat16": "train.precision=bfloat16",
}


def measure() -> Iterator[dict]:
    """Yield the time of seed_cnn's training on 1,280 images with each change, over that as it is."""
    measured = [{change: _run(change) for change in ("nothing", *CHANGES)} for _ in range(ROUNDS)]
    for change, name in CHANGES.items():
        yield {
            "what": f"1,280 images with {name}, over as it is (batches of 32)",
            "unit": "times",
            "values": [_middle(m[change]) / _middle(m["nothing"]) for m in measured],
        }


def _run(change: str) -> dict:
    command = [sys.executable, "-c", STEP, change]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _middle(run: dict) -> float:
    return statistics.median(run["seconds"])
