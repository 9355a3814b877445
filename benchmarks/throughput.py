"""Training throughput of the seed's recipe, against a constant batch and against the notebook's own way."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import data
from pipeline import runtime
from pipeline.config import compose

STEPS = 60
ROUNDS = 5


def measure() -> Iterator[dict]:
    """Yield images per second of our input over that of a constant batch, and over flow_from_directory's."""
    runtime.configure()
    runtime.deterministic(1)
    import tensorflow as tf

    from pipeline import arrays, batches, fit, models

    cfg, _ = compose(["augment=affine", "model=seed_cnn", "optimizer=adam", "train.batch_size=32"])
    split = arrays.load(data.folder(), "train", cfg.data.classes)
    model = models.build(cfg.model, 7)
    fit.compile_(model, cfg.optimizer)
    ours = batches.training(split, 7, cfg.augment, 32, 1, range(1, 1000))
    images, labels = next(iter(ours))
    options = tf.data.Options()
    options.autotune.enabled = False
    constant = tf.data.Dataset.from_tensors((images, labels)).repeat().with_options(options)

    def images_per_second(source: object) -> float:
        # Begun anew, so that no source starts with batches prepared while another one was measured.
        model.fit(source, steps_per_epoch=5, verbose=0, shuffle=False)
        started = time.perf_counter()
        model.fit(source, steps_per_epoch=STEPS, verbose=0, shuffle=False)
        return STEPS * 32 / (time.perf_counter() - started)

    with tempfile.TemporaryDirectory() as temporary:
        notebook = _flow_from_directory(split, cfg, Path(temporary))
        measured = [[images_per_second(s) for s in (ours, constant, notebook)] for _ in range(ROUNDS)]
    where = f"seed_cnn, batch 32, {data.name()}"
    yield {"what": f"training with augmentation, {where}", "unit": "images/s", "values": [m[0] for m in measured]}
    yield {
        "what": "... over the same step on a constant batch",
        "unit": "times",
        "values": [m[0] / m[1] for m in measured],
        "target": "0.95 or more",
    }
    yield {
        "what": "... over ImageDataGenerator.flow_from_directory",
        "unit": "times",
        "values": [m[0] / m[2] for m in measured],
        "target": "1.5 or more",
    }


def _flow_from_directory(split: object, cfg: object, folder: Path) -> object:
    """Return the notebook's input: images on disk, read, augmented and batched by Keras' ImageDataGenerator."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    from PIL import Image

    for row in range(STEPS * 32):
        label = cfg.data.classes[split.labels[row]]
        (folder / label).mkdir(exist_ok=True)
        Image.fromarray(split.images(slice(row, row + 1))[0]).save(folder / label / f"{row}.jpg", quality=95)
    augment = cfg.augment
    generator = ImageDataGenerator(
        rescale=1 / 255,
        horizontal_flip=augment.mirror,
        rotation_range=augment.rotation,
        zoom_range=augment.zoom,
        width_shift_range=augment.shift,
        height_shift_range=augment.shift,
    )
    return generator.flow_from_directory(
        folder,
        target_size=(48, 48),
        color_mode="grayscale",
        batch_size=32,
        class_mode="categorical",
        classes=cfg.data.classes,
    )
