"""Stage preprocess: decodes the archive into arrays, and audits them."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import EMOTIONS, IMAGE_SIZE, SPLITS, Config, Data
from pipeline.core.stage import Job, stage

if TYPE_CHECKING:
    from pipeline.sources.archive import Face


@stage
def main(cfg: Config, job: Job) -> None:
    """Preprocess the chosen data set."""
    preprocess(cfg.data, job.out)


def preprocess(data: Data, out: paths.Outputs) -> None:
    """Write the arrays of `data`, and into `out` audit.json and pictures of samples and class balance."""
    from pipeline.core import files
    from pipeline.core.progress import progress
    from pipeline.data import audit
    from pipeline.plots import dataset
    from pipeline.sources import archive

    source = _archive_in(paths.raw(data.name))
    total = sum(map(sum, data.counts.values()))
    with progress("decode", total, "images") as advance:
        folder = write(_counted(archive.read(source), advance), data, paths.arrays(data.name))
    found = audit.audit(folder)
    files.write_json(out.audit, found)
    counts = {emotion: {split: found["images"][split][emotion] for split in SPLITS} for emotion in EMOTIONS}
    dataset.balance(out.figure("balance"), counts, data.name)
    dataset.samples(out.figure("samples"), audit.samples(folder, per_emotion=10), data.name)
    digest = found["data"]["digest"]
    print(f"{total:,} images of {data.name} in {folder.relative_to(paths.ROOT)}, digest {digest[:12]}")
    for sign in found["altered"]["signs"]:
        print(f"warning: {sign}")


def write(faces: "Iterable[Face]", data: Data, folder: Path) -> Path:
    """Write `faces` as the arrays of pipeline/data/arrays.py into `folder`, replacing it as a whole.

    One image at a time is in memory. Raises PipelineError where a split has more or fewer images than
    `data.counts` states.
    """
    import numpy as np

    from pipeline.core import files
    from pipeline.data import arrays, audit

    sizes = {split: sum(counts[i] for counts in data.counts.values()) for i, split in enumerate(SPLITS)}
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shape = (IMAGE_SIZE, IMAGE_SIZE)
    opened = {
        split: np.lib.format.open_memmap(partial / f"{split}.npy", "w+", np.uint8, (size, *shape))
        for split, size in sizes.items()
    }
    labels = {split: np.zeros(size, np.uint8) for split, size in sizes.items()}
    filled = dict.fromkeys(SPLITS, 0)
    for face in faces:
        place = filled[face.split]
        if place == sizes[face.split]:
            raise PipelineError(f"{data.name}: more than the {place} images that counts states for {face.split}")
        opened[face.split][place] = face.pixels
        labels[face.split][place] = EMOTIONS.index(face.emotion)
        filled[face.split] += 1
    if filled != sizes:
        raise PipelineError(f"{data.name}: images per split are {filled}; counts states {sizes}")
    for split in SPLITS:
        opened[split].flush()
        np.save(partial / f"{split}_labels.npy", labels[split])
    np.save(partial / "test_clean.npy", audit.not_in(partial, "test", "train"))
    described = {"name": data.name, "digest": arrays.digest(partial), "settings": arrays.settings(data)}
    files.write_json(partial / "data.json", described)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return folder


def _counted(faces: "Iterable[Face]", advance: Callable[[int], object]) -> "Iterable[Face]":
    for face in faces:
        advance(1)
        yield face


def _archive_in(folder: Path) -> Path:
    found = [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.is_dir() else []
    if len(found) != 1:
        raise PipelineError(f"{folder} holds {len(found)} files, not one archive; `dvc repro download` gets it")
    return found[0]


if __name__ == "__main__":
    main()
