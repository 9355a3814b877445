"""Stage preprocess: decodes the archive into arrays, and audits them."""

import contextlib
import io
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import paths
from pipeline.core.constants import IMAGE_SIZE, SPLITS
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.schema import Data

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.archive import Face


def preprocess(data: Data, out: paths.Outputs) -> None:
    """Write the arrays of `data`, and into `out` audit.json and figures of samples and class balance."""
    from pipeline.core import files
    from pipeline.data import archive
    from pipeline.plots import dataset
    from pipeline.preprocess import audit

    total = sum(map(sum, data.counts.values()))
    with exclusive(paths.data_lock(data.name), f"stage download or preprocess of {data.name}", wait=True):
        source = _archive_in(paths.raw(data.name))
        archive.check_digest(source, data.sha256, f"{source}, made by an earlier download,")
        folder = write(archive.read(source, images=total, classes=list(data.counts)), data, paths.arrays(data.name))
        found = audit.audit(folder)
        files.write_json(out.audit, found)
        counts = {name: {split: found["images"][split][name] for split in SPLITS} for name in found["images"]["train"]}
        dataset.balance(out.figure("balance"), counts, data.name)
        dataset.samples(out.figure("samples"), audit.samples(folder, per_class=10), data.name)
    digest = found["data"]["digest"]
    print(f"{total:,} images of {data.name} in {folder.relative_to(paths.ROOT)}, digest {digest[:12]}")
    for sign in found["altered"]["signs"] or ():
        print(f"warning: {sign}")


def write(faces: "Iterable[Face]", data: Data, folder: Path) -> Path:
    """Write `faces` as the arrays of pipeline/data/arrays.py into `folder`, which is replaced as a whole.

    One image at a time is in memory. Raises PipelineError if the number of images in a split differs from
    `data.counts`.
    """
    from pipeline.core import files
    from pipeline.data import arrays
    from pipeline.preprocess import audit

    sizes = {split: sum(counts[i] for counts in data.counts.values()) for i, split in enumerate(SPLITS)}
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with files.path_in_errors(partial):
            _write(faces, data, sizes, partial)
            _save(partial / arrays.CLEAN, audit.not_in(partial, "test", "train"))
            arrays.describe(partial, data)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(faces: "Iterable[Face]", data: Data, sizes: dict[str, int], folder: Path) -> None:
    """Write pixels and labels without a memory map: a full disk would kill a process that writes into one."""
    import numpy as np

    from pipeline.core.progress import progress

    labels = {split: bytearray() for split in SPLITS}
    index = {name: label for label, name in enumerate(sorted(data.counts))}
    with contextlib.ExitStack() as stack, progress("decode", sum(sizes.values()), "images") as advance:
        outputs = {split: stack.enter_context(open(folder / f"{split}.npy", "wb")) for split in SPLITS}
        for split, size in sizes.items():
            shape = (size, IMAGE_SIZE, IMAGE_SIZE)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(outputs[split], header)
        for face in faces:
            if len(labels[face.split]) == sizes[face.split]:
                raise PipelineError(
                    f"{data.name}: {face.split} has more than the {sizes[face.split]} images of data.counts"
                )
            if face.emotion not in index:
                raise PipelineError(f"{data.name}: {face.split} has images of {face.emotion}; data.counts has none")
            outputs[face.split].write(face.pixels.tobytes())
            labels[face.split].append(index[face.emotion])
            advance(1)
    if (found := {split: len(labels[split]) for split in SPLITS}) != sizes:
        raise PipelineError(f"{data.name}: the splits have {found} images; data.counts has {sizes}")
    for split in SPLITS:
        _save(folder / f"{split}_labels.npy", np.frombuffer(labels[split], np.uint8))


def _save(path: Path, array: "np.ndarray") -> None:
    """Write `array` in NumPy's format; the error of numpy.save itself does not name a full disk as the cause."""
    import numpy as np

    from pipeline.core import files

    content = io.BytesIO()
    np.save(content, array)
    files.replace(path, content.getvalue())


def _archive_in(folder: Path) -> Path:
    found = [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.is_dir() else []
    if len(found) != 1:
        raise PipelineError(f"{folder} has {len(found)} files; accepted: one archive, from `dvc repro download`")
    return found[0]
