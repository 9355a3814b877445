"""Stage download: gets the archive of the dataset into data/raw/, and verifies it."""

import os
import shutil
from pathlib import Path

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.schema import Data
from pipeline.download.web import MAX_BYTES, fetch, without_secrets

VARIABLE = "FER2013_ARCHIVE"


def download(data: Data, target: Path) -> Path:
    """Write the archive of `data` into the folder `target`, and return its path: archive.zip, .csv or .tar.gz.

    Uses the first of `data.sources` that is set. The archive replaces an earlier one after all of its images were read
    and counted; an error leaves `target` unchanged. Raises PipelineError, which lists the possible sources.
    """
    try:
        with exclusive(paths.data_lock(data.name), f"stage download or preprocess of {data.name}", wait=True):
            return _download(data, target)
    except PipelineError as error:
        raise PipelineError(f"{error}{_help(data)}") from error
    except OSError as error:
        raise PipelineError(f"{error.filename or target}: {error.strerror or error}{_help(data)}") from error


def _download(data: Data, target: Path) -> Path:
    from pipeline.data import archive

    temporary = target / ".download.part"
    target.mkdir(parents=True, exist_ok=True)
    try:
        label = _obtain(data, temporary)
        archive.check_digest(temporary, data.sha256, label)
        archive.verify(temporary, data.counts, label)
        placed = target / f"archive{archive.suffix(temporary)}"
        os.replace(temporary, placed)
    finally:
        temporary.unlink(missing_ok=True)
    for other in {*target.glob("archive.*")} - {placed}:
        other.unlink()
    return placed


def _obtain(data: Data, temporary: Path) -> str:
    """Write the archive from the first source that is set to `temporary`; return its name for error messages."""
    for source in data.sources:
        if source == "archive" and data.archive:
            return _get(data.archive, "data.archive", temporary)
        if source == "environment" and os.environ.get(VARIABLE):
            return _get(os.environ[VARIABLE], VARIABLE, temporary)
        if source == "kaggle" and data.kaggle:
            folder = _kaggle(data.kaggle)
            _copy(folder, temporary)
            return f"Kaggle's {data.kaggle} in {folder}"
        if source == "synthetic" and data.synthetic_seed is not None:
            from pipeline.download import synthetic

            synthetic.draw(temporary, dict(data.counts), data.synthetic_seed)
            return "the synthetic faces"
    raise PipelineError(f"{data.name}: none of its sources is set ({', '.join(data.sources)})")


def _get(location: str, origin: str, temporary: Path) -> str:
    """Download or copy `location`, an address or a path (absolute, or relative to the checkout); return its name."""
    if "://" in location:
        fetch(location, temporary)
        return without_secrets(location)
    path = paths.HOME / os.path.expanduser(location)
    if not path.exists():
        raise PipelineError(f"{origin} names {path}, which does not exist")
    _copy(path, temporary)
    return str(path)


def _copy(path: Path, temporary: Path) -> None:
    """Copy the archive `path`; of a folder, pack its folders train/ and test/, or else copy the table in it."""
    from pipeline.data.archive import pack
    from pipeline.data.layouts import TABLES

    if path.is_dir():
        tables = [] if (path / "train").is_dir() else [found for name in TABLES for found in sorted(path.rglob(name))]
        if not tables:
            pack(path, temporary)
            return
        path = tables[0]
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise PipelineError(f"{path} is not a regular file of at most {MAX_BYTES:,} bytes")
    shutil.copyfile(path, temporary)


def _kaggle(handle: str) -> Path:
    """Return the folder of dataset `handle` in kagglehub's cache; download it if it is not there."""
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
    except Exception as error:  # kagglehub's exceptions have no common base class
        raise PipelineError(f"{handle}: kagglehub: {str(error).partition(chr(10))[0]}") from error


def _help(data: Data) -> str:
    if "synthetic" in data.sources:
        return ""
    if data.sha256:
        return f"; `python -m pipeline.prepare FOLDER_OR_ARCHIVE --name {data.name} --force` writes it again"
    return (
        f"\nTo get the dataset, set data.archive in conf/data/{data.name}.yaml, or {VARIABLE}=/path/to/fer2013.zip, "
        "or KAGGLE_USERNAME and KAGGLE_KEY for Kaggle; `make demo` needs no dataset. For another dataset: "
        "`python -m pipeline.prepare FOLDER_OR_ARCHIVE --name NAME`."
    )
