"""A training step with and without glibc keeping freed memory; an epoch's end with and without tf.data's autotuning."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

ROUNDS = 3
STEP = """
import json, resource, sys, time
from pipeline import runtime
runtime.quiet()
if sys.argv[1] == "keep":
    runtime.keep_freed_memory()
runtime.deterministic(1)
import tensorflow as tf
from benchmarks import data
from pipeline import arrays, batches, fit, models
from pipeline.config import compose
cfg, _ = compose(["augment=affine", "model=seed_cnn", "optimizer=adam"])
split = arrays.load(data.folder(), "train", cfg.data.classes)
model = models.build(cfg.model, 7)
fit.compile_(model, cfg.optimizer)
source = batches.training(split, 7, cfg.augment, 32, 1, range(1, 100))
if sys.argv[2] == "autotune":
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
    """Yield the step's time with glibc's defaults over ours, its page faults, and the same for autotuning."""
    ours, default, tuned = [], [], []
    for _ in range(ROUNDS):
        ours.append(_run("keep", "plain"))
        default.append(_run("default", "plain"))
        tuned.append(_run("keep", "autotune"))
    yield {
        "what": "step with glibc's default memory settings over ours",
        "unit": "times",
        "values": [_middle(d) / _middle(o) for d, o in zip(default, ours, strict=True)],
    }
    yield {"what": "... page faults a step, default", "unit": "faults", "values": [d["faults"] for d in default]}
    yield {"what": "... page faults a step, ours", "unit": "faults", "values": [o["faults"] for o in ours]}
    yield {
        "what": "40 steps with tf.data's autotuning over without",
        "unit": "times",
        "values": [_middle(t) / _middle(o) for t, o in zip(tuned, ours, strict=True)],
    }


def _run(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-c", STEP, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _middle(run: dict) -> float:
    return statistics.median(run["seconds"])
