"""Writes a trained model as LiteRT and ONNX files beside its .h5, and checks their predictions against it."""

import argparse
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import config, files, paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.faces import options

if TYPE_CHECKING:
    import numpy as np

    from pipeline.core.schema import Data
    from pipeline.data.arrays import Split
    from pipeline.models.runtimes import Predict

NEEDED = ("ai_edge_litert", "onnxruntime", "tf2onnx")
AGREEMENT = 0.995
"""Share of the images on which a float32 file must predict the same emotion as the .h5."""
TOLERANCE = 0.005
"""The largest difference between the accuracies of an int8 file and the .h5, on either split."""
CALIBRATION = 256
"""The number of training images on which the ranges of int8 are measured."""


@command
def main(arguments: list[str]) -> None:
    """Write NAME.tflite, NAME-int8.tflite, NAME.onnx, NAME-export.csv: `python -m pipeline.export models/model.h5`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.export", description=main.__doc__)
    what = "the model, an .h5 file, by default models/model.h5; data=NAME: the dataset on which the files are checked"
    parser.add_argument("given", nargs="*", metavar="FILE.h5 | data=NAME", help=what)
    options.add_classes(parser)
    args = parser.parse_args(arguments)
    given = args.given
    overrides = [argument for argument in given if argument.startswith("data=")]
    found = [Path(argument) for argument in given if argument not in overrides] or [paths.Outputs().model]
    for path in found:
        if path.suffix != ".h5" or not path.is_file():
            accepted = "the .h5 file of a training, by default models/model.h5, and data=NAME"
            raise PipelineError(f"{path} is not an .h5 file; accepted: {accepted}")
    if len(found) > 1:
        raise PipelineError(f"{len(found)} files are given: {', '.join(map(str, found))}; accepted: one .h5 file")
    cfg, _ = config.compose(overrides)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise PipelineError(f"not installed: {', '.join(missing)}; `make export` installs what this command needs")
    runtime.load_tensorflow()
    export(found[0], cfg.data, args.classes)


def export(path: Path, data: "Data", named: list[str] | None = None) -> None:
    """Check each exported file, write those that pass beside `path`, and write a table of their scores.

    The model's emotions are printed in its order; `named` are those of a model of another program. A row has the
    file's name, its bytes, its accuracy on the images of these emotions in val and test of `data`, and the share of
    these images on which it predicts the same emotion as the .h5, which is the first row. Raises PipelineError if
    `data` lacks an emotion, and at the end if a file has failed: neither it nor an older file of its name is kept.
    """
    import numpy as np

    from pipeline.data import arrays
    from pipeline.export import formats
    from pipeline.models import runtimes, saved

    model = saved.load(path)
    info = saved.info(path, model.output_shape[-1], named)
    classes = info.classes
    if missing := [emotion for emotion in classes if not all(data.counts.get(emotion, [0]))]:
        reason = f"{data.name} has no images of it; accepted: data=NAME, a dataset with all emotions of the model"
        raise PipelineError(f"{path} has the emotion {missing[0]}, and {reason}")
    train, val, test = (arrays.load(paths.arrays(data.name), name, classes) for name in ("train", "val", "test"))
    print(f"{path}: {', '.join(classes)}")
    sample = np.random.default_rng(0).choice(len(train), min(CALIBRATION, len(train)), replace=False)
    truth = np.concatenate([val.labels, test.labels])

    def predict(file: Path) -> np.ndarray:
        run = runtimes.load(file, os.cpu_count() or 1)
        return np.concatenate([_predict(run, split) for split in (val, test)])

    def row(file: Path, predicted: np.ndarray) -> dict[str, Any]:
        correct = predicted == truth
        return {
            "file": file.name,
            "bytes": file.stat().st_size,
            "val_accuracy": float(correct[: len(val)].mean()),
            "test_accuracy": float(correct[len(val) :].mean()),
            "agreement": float((predicted == expected).mean()),
        }

    expected = predict(path)
    rows, failed = [row(path, expected)], []
    print(_line(rows[0]))
    table = path.with_name(f"{path.stem}-export.csv")
    targets = {name: path.with_name(path.stem + ending) for name, ending in formats.ENDINGS.items()}
    for older in (table, *targets.values()):  # it may be of another model
        older.unlink(missing_ok=True)
    for name, target in targets.items():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            written = Path(folder) / target.name
            formats.write(model, name, written, runtimes.to_unit(train.images(sample)))
            if name == "onnx":
                formats.describe(written, path, info)
            scores = row(written, predict(written))
            if problem := _problem(rows[0], scores, quantized=name == formats.INT8):
                failed.append(f"{target.name} {problem}")
                continue
            os.replace(written, target)
        rows.append(scores)
        files.write_csv(table, rows)
        print(_line(scores))
    if failed:
        raise PipelineError(f"not kept: {'; '.join(failed)}")


def _predict(run: "Predict", split: "Split") -> "np.ndarray":
    """Return (n,) the class that a runtime predicts for each image of `split`."""
    import numpy as np

    from pipeline.metrics.inference import BATCH
    from pipeline.models.runtimes import to_unit

    parts = (split.images(slice(i, i + BATCH)) for i in range(0, len(split), BATCH))
    return np.concatenate([run(to_unit(pixels)).argmax(1) for pixels in parts])


def _problem(expected: dict[str, Any], scores: dict[str, Any], quantized: bool) -> str | None:
    """Return how the scores of a file differ from those of the .h5 by more than is accepted; None if they do not."""
    if not quantized:
        low = scores["agreement"] < AGREEMENT
        return f"predicts the same emotion as the .h5 on only {scores['agreement']:.2%} of the images" if low else None
    for key in ("val_accuracy", "test_accuracy"):
        if abs(scores[key] - expected[key]) > TOLERANCE:
            return f"has a {key} of {scores[key]:.2%}, and the .h5 {expected[key]:.2%}"
    return None


def _line(row: dict[str, Any]) -> str:
    return (
        "{file:24} {bytes:>10,} bytes, val {val_accuracy:.2%}, test {test_accuracy:.2%}, "
        "same emotion as the .h5 on {agreement:.2%}".format(**row)
    )


if __name__ == "__main__":
    main()
