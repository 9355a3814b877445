"""Writes a trained network as LiteRT and ONNX files beside its .h5, and proves that they answer as it does."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import config, files, paths
from pipeline.core.errors import PipelineError
from pipeline.core.stage import command
from pipeline.training import runtime

if TYPE_CHECKING:
    import numpy as np

    from pipeline.core.schema import Data
    from pipeline.data.arrays import Split
    from pipeline.exporting.runtimes import Predict

AGREEMENT = 0.995
"""Share of the images on which a float32 file must name the .h5's emotion."""
TOLERANCE = 0.005
"""How far the accuracy of an int8 file may be from the .h5's, on either split."""
CALIBRATION = 256
"""Training images on which the ranges of int8 are measured."""


@command
def main(arguments: list[str]) -> None:
    """Write NAME.tflite, NAME-int8.tflite, NAME.onnx, NAME-export.csv: `python -m pipeline.export models/model.h5`."""
    named = [a for a in arguments if "=" not in a]
    if len(named) > 1:
        raise PipelineError(f"one network at a time: {', '.join(named)}")
    path = Path(named[0]) if named else paths.Outputs().model
    if path.suffix != ".h5" or not path.is_file():
        raise PipelineError(f"{path} is no .h5 file; accepted: one that a training left, models/model.h5 by default")
    cfg, _ = config.compose([a for a in arguments if "=" in a])
    runtime.configure()
    rows = export(path, cfg.data)
    files.write_csv(path.with_name(f"{path.stem}-export.csv"), rows)


def export(path: Path, data: "Data") -> list[dict[str, Any]]:
    """Write the files beside `path`, each of them once it has proved itself; return a row for each, the .h5 first.

    The emotions are those that `path` names, in its order; they are printed. A row holds the file's name, its bytes,
    its accuracy on the images of `data` in val and test that show one of them, and the share of these on which it names
    the emotion that the .h5 names. Raises PipelineError where a file fails, which is not kept then, or `data` lacks an
    emotion.
    """
    import numpy as np

    from pipeline.data import arrays
    from pipeline.exporting import formats, runtimes
    from pipeline.training import batches, saved

    model = saved.load(path)
    classes = saved.facts(path, model.output_shape[-1]).classes
    if lacking := [emotion for emotion in classes if not all(data.counts.get(emotion, [0]))]:
        where = f"{data.name} has no images of it; accepted: data=NAME, a data set with all of its emotions"
        raise PipelineError(f"{path} names the emotion {lacking[0]}, and {where}")
    train, val, test = (arrays.load(paths.arrays(data.name), name, classes) for name in ("train", "val", "test"))
    print(f"{path}: {', '.join(classes)}")
    chosen = np.random.default_rng(0).choice(len(train), min(CALIBRATION, len(train)), replace=False)
    truth = np.concatenate([val.labels, test.labels])

    def named(file: Path) -> np.ndarray:
        run = runtimes.load(file, os.cpu_count() or 1)
        return np.concatenate([_named(run, split) for split in (val, test)])

    def row(name: str, file: Path, found: np.ndarray) -> dict[str, Any]:
        right = found == truth
        accuracy = {"val_accuracy": float(right[: len(val)].mean()), "test_accuracy": float(right[len(val) :].mean())}
        agreement = float((found == expected).mean())
        return {"file": name, "bytes": file.stat().st_size, **accuracy, "agreement": agreement}

    expected = named(path)
    rows = [row(path.name, path, expected)]
    print(_line(rows[0]))
    for name, ending in formats.ENDINGS.items():
        target = path.with_name(path.stem + ending)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            written = Path(folder) / target.name
            formats.write(model, name, written, batches.to_unit(train.images(chosen)).numpy())
            rows.append(row(target.name, written, named(written)))
            if problem := _problem(rows[0], rows[-1], quantized=name == formats.INT8):
                raise PipelineError(f"{target.name} {problem}; it is not kept")
            os.replace(written, target)
        print(_line(rows[-1]))
    return rows


def _named(run: "Predict", split: "Split") -> "np.ndarray":
    """Return the class that a runtime names for each image of `split`."""
    import numpy as np

    from pipeline.evaluation.scoring import BATCH
    from pipeline.training import batches

    parts = (split.images(slice(i, i + BATCH)) for i in range(0, len(split), BATCH))
    return np.concatenate([run(batches.to_unit(pixels).numpy()).argmax(1) for pixels in parts])


def _problem(expected: dict[str, Any], found: dict[str, Any], quantized: bool) -> str | None:
    """Return what is wrong with a file, where it does not answer as the .h5 does."""
    if not quantized:
        low = found["agreement"] < AGREEMENT
        return f"names the .h5's emotion on {found['agreement']:.2%} of the images only" if low else None
    for key in ("val_accuracy", "test_accuracy"):
        if abs(found[key] - expected[key]) > TOLERANCE:
            return f"has a {key} of {found[key]:.2%}, and the .h5 {expected[key]:.2%}"
    return None


def _line(row: dict[str, Any]) -> str:
    return (
        "{file:24} {bytes:>10,} bytes, val {val_accuracy:.2%}, test {test_accuracy:.2%}, "
        "same emotion as the .h5 on {agreement:.2%}".format(**row)
    )


if __name__ == "__main__":
    main()
