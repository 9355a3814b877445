"""Stage 1, download: puts the archive of the data set into data/raw/, verified."""

import errno
import os
import shutil
from pathlib import Path

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.schema import Data
from pipeline.download.web import MAX_BYTES, fetch, shown

VARIABLE = "FER2013_ARCHIVE"


def download(data: Data, target: Path) -> Path:
    """Put the archive of `data` into the folder `target`, and return its path there: archive.zip, .csv or .tar.gz.

    It comes from the first of `data.sources` that is set, and appears only when every image in it was read and
    counted; whatever fails leaves `target` as it was. Raises PipelineError, which ends with the ways forward.
    """
    try:
        with exclusive(paths.data_lock(data.name), f"stage download or preprocess of {data.name}", wait=True):
            return _download(data, target)
    except PipelineError as error:
        raise PipelineError(f"{error}{_ways(data)}") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left on this disk" if full else error.strerror or error
        raise PipelineError(f"{error.filename or target}: {reason}{_ways(data)}") from error


def _download(data: Data, target: Path) -> Path:
    from pipeline.data import archive

    temporary = target / f".download-{os.getpid()}.part"
    target.mkdir(parents=True, exist_ok=True)
    try:
        label = _obtain(data, temporary)
        archive.verify(temporary, data.counts, label)
        placed = target / f"archive{archive.suffix(temporary)}"
        os.replace(temporary, placed)
    finally:
        temporary.unlink(missing_ok=True)
    for other in {*target.glob("archive.*"), *target.glob(".download-*.part")} - {placed}:
        other.unlink()
    return placed


def _obtain(data: Data, temporary: Path) -> str:
    """Write the archive from the first source that is set to `temporary`; return what errors shall call it."""
    for source in data.sources:
        if source == "archive" and data.archive:
            return _take(data.archive, "data.archive", temporary)
        if source == "environment" and os.environ.get(VARIABLE):
            return _take(os.environ[VARIABLE], VARIABLE, temporary)
        if source == "kaggle" and data.kaggle:
            folder = _kaggle(data.kaggle)
            _copy(folder, temporary)
            return f"Kaggle's {data.kaggle} in {folder}"
        if source == "synthetic" and data.synthetic_seed is not None:
            from pipeline.download import synthetic

            synthetic.draw(temporary, dict(data.counts), data.synthetic_seed)
            return "the drawn faces"
    raise PipelineError(f"{data.name}: none of its sources is set ({', '.join(data.sources)})")


def _take(location: str, origin: str, temporary: Path) -> str:
    """Fetch or copy `location`: an address, or a path, which starts from the checkout where it is relative."""
    if "://" in location:
        fetch(location, temporary)
        return shown(location)
    path = paths.HOME / os.path.expanduser(location)
    if not path.exists():
        raise PipelineError(f"{origin} names {path}, which does not exist")
    _copy(path, temporary)
    return str(path)


def _copy(path: Path, temporary: Path) -> None:
    """Copy the archive `path`, or what the folder `path` holds: fer2013.csv, or else train/ and test/."""
    from pipeline.data.archive import pack
    from pipeline.data.layouts import TABLE

    if path.is_dir() and not (path / TABLE).exists():
        pack(path, temporary)
        return
    file = path / TABLE if path.is_dir() else path
    if not file.is_file() or file.stat().st_size > MAX_BYTES:
        raise PipelineError(f"{file} is no plain file of up to {MAX_BYTES:,} bytes")
    shutil.copyfile(file, temporary)


def _kaggle(handle: str) -> Path:
    """Return the folder in kagglehub's cache that holds the data set `handle`, downloaded where need be."""
    import kagglehub
    import requests

    try:
        return Path(kagglehub.dataset_download(handle))
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        refused = " and refuses: are the credentials set and valid?" if status in (401, 403) else ""
        reason = f"answers {status}{refused}" if status else f"cannot be reached ({type(error).__name__})"
        raise PipelineError(f"{handle}: Kaggle {reason}") from error
    except OSError:
        raise
    except Exception as error:  # kagglehub's own kinds have no common base
        raise PipelineError(f"{handle}: kagglehub: {str(error).partition(chr(10))[0]}") from error


def _ways(data: Data) -> str:
    if "synthetic" in data.sources:
        return ""
    return (
        f"\nWays forward: set data.archive in conf/data/{data.name}.yaml, or {VARIABLE}=/path/to/fer2013.zip, "
        "or KAGGLE_USERNAME and KAGGLE_KEY for Kaggle, or run `make demo`, which needs no data."
    )
