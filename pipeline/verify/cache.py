"""DVC's cache: a file there is called by its MD5, and DVC trusts it unread when it brings it back."""

import hashlib
from pathlib import Path

from pipeline.verify.check import Check

FOLDER = Path(".dvc", "cache", "files", "md5")


def check(root: Path) -> Check:
    """Read every file of the cache of the checkout `root`; a damaged one is named with what mends it."""
    found = Check("DVC's cache")
    for path in sorted((root / FOLDER).glob("??/*")):
        found.values += 1
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        if path.parent.name + path.stem != digest:
            found.wrong.append(f"{path} is damaged; `rm -f` it, and `dvc repro --force` makes it anew")
    return found
