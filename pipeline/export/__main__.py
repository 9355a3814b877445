"""Writes a trained network as LiteRT and ONNX files beside its .h5, and proves that they answer as it does."""

import argparse
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import config, files, paths, runtime
from pipeline.core.command import command
from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.core.schema import Data
    from pipeline.data.arrays import Split
    from pipeline.models.runtimes import Predict

NEEDED = ("ai_edge_litert", "onnxruntime", "tf2onnx")
AGREEMENT = 0.995
"""Share of the images on which a float32 file must name the .h5's emotion."""
TOLERANCE = 0.005
"""How far the accuracy of an int8 file may be from the .h5's, on either split."""
CALIBRATION = 256
"""Training images on which the ranges of int8 are measured."""


@command
def main(arguments: list[str]) -> None:
    """Write NAME.tflite, NAME-int8.tflite, NAME.onnx, NAME-export.csv: `python -m pipeline.export models/model.h5`."""
    given = _parser().parse_args(arguments).given
    named = [a for a in given if a.endswith(".h5") or "=" not in a]  # a folder may be called lr=0.01
    if len(named) > 1:
        raise PipelineError(f"one network at a time: {', '.join(named)}")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise PipelineError(f"not installed: {', '.join(missing)}; `make export` installs what this command needs")
    path = Path(named[0]) if named else paths.Outputs().model
    if path.suffix != ".h5" or not path.is_file():
        raise PipelineError(
            f"{path} is not an .h5 file; accepted: one that a training left, models/model.h5 by default"
        )
    overrides = [a for a in given if a not in named]
    if others := [key for key in (a.partition("=")[0] for a in overrides) if key != "data"]:
        where = "accepted: data=NAME, the data set on which the files are tried"
        raise PipelineError(f"{others[0]} changes nothing: the network is exported as it is; {where}")
    cfg, _ = config.compose(overrides)
    runtime.configure()
    export(path, cfg.data)


def export(path: Path, data: "Data") -> None:
    """Write the files beside `path`, each of them once it has proved itself, and the table of those that are kept.

    The emotions are those that `path` names, in its order; they are printed. A row holds the file's name, its bytes,
    its accuracy on the images of `data` in val and test that show one of them, and the share of these on which it names
    the emotion that the .h5 names; the .h5 is the first. Raises PipelineError where `data` lacks an emotion, and at the
    end where a file has failed: it is not kept, nor is an older one of its name.
    """
    import numpy as np

    from pipeline.data import arrays, batches
    from pipeline.export import formats
    from pipeline.models import runtimes, saved

    model = saved.load(path)
    classes = saved.info(path, model.output_shape[-1]).classes
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
    rows, failed = [row(path.name, path, expected)], []
    print(_line(rows[0]))
    table = path.with_name(f"{path.stem}-export.csv")
    targets = {name: path.with_name(path.stem + ending) for name, ending in formats.ENDINGS.items()}
    for older in (table, *targets.values()):  # another network's, perhaps
        older.unlink(missing_ok=True)
    for name, target in targets.items():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            written = Path(folder) / target.name
            formats.write(model, name, written, batches.to_unit(train.images(chosen)).numpy())
            found = row(target.name, written, named(written))
            if problem := _problem(rows[0], found, quantized=name == formats.INT8):
                failed.append(f"{target.name} {problem}")
                continue
            os.replace(written, target)
        rows.append(found)
        files.write_csv(table, rows)
        print(_line(found))
    if failed:
        raise PipelineError(f"not kept: {'; '.join(failed)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.export", description=main.__doc__)
    what = "the network, an .h5 file, models/model.h5 without it; data=NAME: the data set on which the files are tried"
    parser.add_argument("given", nargs="*", metavar="FILE.h5 | data=NAME", help=what)
    return parser


def _named(run: "Predict", split: "Split") -> "np.ndarray":
    """Return the class that a runtime names for each image of `split`."""
    import numpy as np

    from pipeline.data import batches
    from pipeline.metrics.inference import BATCH

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
