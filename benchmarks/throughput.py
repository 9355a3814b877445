"""Training throughput of the seed's recipe, against a constant batch and against the notebook's own way."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import data
from pipeline.core import runtime
from pipeline.core.config import compose

STEPS = 120
"""Of a round. An epoch has 898: what starting one costs is paid more often here, not less."""
ROUNDS = 3
PROCESSES = 3
OVERRIDES = ["augment=affine", "model=seed_cnn", "optimizer=adam", "schedule=constant", "train.batch_size=32"]


def measure() -> Iterator[dict]:
    """Yield images per second, over those of a constant batch and of flow_from_directory.

    The notebook's way runs in a process of its own, as a notebook would: TensorFlow's and glibc's defaults,
    nothing deterministic. Ours is measured in turn with it.
    """
    where = f"seed_cnn, batch 32, {data.name()}"
    pairs = [(_process("ours"), _process("notebook")) for _ in range(PROCESSES)]
    ours, constant = zip(*[rounds for pair, _ in pairs for rounds in pair], strict=True)
    yield {"what": f"training with augmentation, {where}", "unit": "images/s", "values": ours}
    yield {
        "what": "... over the same step on a constant batch",
        "unit": "times",
        "values": [o / c for o, c in zip(ours, constant, strict=True)],
        "target": "0.95 or more",
    }
    yield {
        "what": "... over the notebook's way, ImageDataGenerator.flow_from_directory",
        "unit": "times",
        "values": [
            statistics.median(o for o, _ in pair) / statistics.median(n for (n,) in notebook)
            for pair, notebook in pairs
        ],
        "target": "1.5 or more",
    }


def _process(way: str) -> list[list[float]]:
    command = [sys.executable, "-m", "benchmarks.throughput", way]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def _ours() -> list[list[float]]:
    """Return images per second of our input and of a constant batch, a pair for each round."""
    runtime.configure()
    runtime.deterministic(1)
    import tensorflow as tf

    from pipeline.data import arrays, batches
    from pipeline.train import targets

    cfg, _ = compose(OVERRIDES)
    split = arrays.load(data.folder(), "train", cfg.data.classes)
    model = _model(cfg)
    labels = targets.targets(7, cfg.train.label_smoothing)
    ours = batches.training(split, labels, cfg.augment, cfg.train.batch_size, 1, range(1, 1000))
    options = tf.data.Options()
    options.autotune.enabled = False
    constant = tf.data.Dataset.from_tensors(next(iter(ours))).repeat().with_options(options)
    return [[_images_per_second(model, source) for source in (ours, constant)] for _ in range(ROUNDS)]


def _notebook() -> list[list[float]]:
    """Return images per second of images on disk, read, augmented and batched by Keras' ImageDataGenerator."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    from PIL import Image

    from pipeline.data import arrays

    cfg, _ = compose(OVERRIDES)
    split, augment = arrays.load(data.folder(), "train", cfg.data.classes), cfg.augment
    generator = ImageDataGenerator(
        rescale=1 / 255,
        horizontal_flip=augment.flip,
        rotation_range=augment.rotation,
        zoom_range=augment.zoom,
        width_shift_range=augment.shift,
        height_shift_range=augment.shift,
    )
    with tempfile.TemporaryDirectory() as folder:
        for row in range(STEPS * 32):
            label = cfg.data.classes[split.labels[row]]
            (Path(folder) / label).mkdir(exist_ok=True)
            Image.fromarray(split.images(slice(row, row + 1))[0]).save(f"{folder}/{label}/{row}.jpg", quality=95)
        flow = generator.flow_from_directory(
            folder, (48, 48), "grayscale", classes=cfg.data.classes, class_mode="categorical", batch_size=32
        )
        model = _model(cfg)
        return [[_images_per_second(model, flow)] for _ in range(ROUNDS)]


def _model(cfg: object) -> object:
    from pipeline import models
    from pipeline.train import loop

    return loop.trainable(models.build(cfg.model, 7), cfg.training, 1)


def _images_per_second(model: object, source: object) -> float:
    # Begun anew, so that no source starts with batches prepared while another one was measured.
    model.fit(source, steps_per_epoch=5, verbose=0)
    started = time.perf_counter()
    model.fit(source, steps_per_epoch=STEPS, verbose=0)
    return STEPS * 32 / (time.perf_counter() - started)


if __name__ == "__main__":
    print(json.dumps({"ours": _ours, "notebook": _notebook}[sys.argv[1]]()))
