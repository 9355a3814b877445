"""YuNet's file, which is no part of the repository: where a machine has it, and a cache with it."""

from pathlib import Path

import pytest

from pipeline.faces import yunet_file
from tests.conftest import ROOT

FILE = ROOT.parent / "shared" / "yunet" / yunet_file.NAME
needed = pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is not there")


def cache(folder: Path) -> Path:
    """Make `folder` a user's cache that has the file, and return it: XDG_CACHE_HOME."""
    (folder / "fer2013-pipeline").mkdir(parents=True)
    (folder / "fer2013-pipeline" / yunet_file.NAME).write_bytes(FILE.read_bytes())
    return folder
