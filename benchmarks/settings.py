"""A training step with each of the run-time settings taken back: memory, oneDNN, tf.data's autotuning."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

ROUNDS = 3
STEP = """
import json, os, resource, sys, time
from pipeline.training import runtime
without = sys.argv[1]
if without == "memory":
    runtime._keep_freed_memory = lambda: None
if without == "oneDNN":
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
runtime.configure()
runtime.deterministic(1)
import tensorflow as tf
from benchmarks import data
from pipeline import models
from pipeline.data import arrays
from pipeline.training import batches, fit, targets
from pipeline.core.config import compose
cfg, _ = compose(["augment=affine", "model=seed_cnn", "optimizer=adam", "schedule=constant", "train.batch_size=32"])
split = arrays.load(data.folder(), "train", cfg.data.classes)
recipe = fit.Recipe.of(cfg)
model = fit.trainable(models.build(cfg.model, 7), recipe, len(split))
labels = targets.targets(split, 7, cfg.train.label_smoothing, cfg.teacher)
source = batches.training(split, labels, cfg.augment, cfg.train.batch_size, 1, range(1, 100))
if without == "autotuning off":
    options = tf.data.Options()
    options.autotune.enabled = True
    source = source.with_options(options)
model.fit(source, steps_per_epoch=20, verbose=0, shuffle=False)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
seconds = []
for _ in range(3):
    started = time.perf_counter()
    model.fit(source, steps_per_epoch=40, verbose=0, shuffle=False)
    seconds.append(time.perf_counter() - started)
faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / 120
print(json.dumps({"seconds": seconds, "faults": faults}))
"""


def measure() -> Iterator[dict]:
    """Yield a step's time without each setting over its time with all of them, and page faults with and without."""
    settings = ("nothing", "memory", "oneDNN", "autotuning off")
    measured = [{setting: _run(setting) for setting in settings} for _ in range(ROUNDS)]
    what = {"memory": "glibc keeping freed memory", "oneDNN": "oneDNN", "autotuning off": "tf.data's autotuning off"}
    for setting, name in what.items():
        yield {
            "what": f"40 steps without {name}, over with",
            "unit": "times",
            "values": [_middle(m[setting]) / _middle(m["nothing"]) for m in measured],
        }
    for setting, name in (("memory", "glibc's default"), ("nothing", "freed memory kept")):
        yield {
            "what": f"page faults a step, {name}",
            "unit": "faults",
            "values": [m[setting]["faults"] for m in measured],
        }


def _run(without: str) -> dict:
    command = [sys.executable, "-c", STEP, without]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _middle(run: dict) -> float:
    return statistics.median(run["seconds"])
