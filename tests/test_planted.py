"""The search for planted secrets finds them however they are packed: else it would prove nothing."""

import base64
import gzip
import sqlite3
from contextlib import closing

import h5py
import numpy as np
import pytest

from tests.torture import planted

SECRET = planted.new()


def _sqlite(path):
    with closing(sqlite3.connect(path)) as database, database:
        # Longer than a page: the file itself holds the text in pieces.
        database.execute("CREATE TABLE tags (value TEXT)")
        database.execute("INSERT INTO tags VALUES (?)", ("x" * 4050 + SECRET + "x" * 9000,))


def _hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b", data=np.frombuffer(SECRET.encode(), np.uint8), compression="gzip")


WAYS = {
    "text": lambda path: path.write_text(f"http://user:{SECRET}@host"),
    "base64": lambda path: path.write_bytes(base64.b64encode(f"user:{SECRET}".encode())),
    "gzip": lambda path: path.write_bytes(gzip.compress(SECRET.encode())),
    "npz": lambda path: np.savez_compressed(path.with_name("file"), a=np.array([SECRET])),
    "sqlite": _sqlite,
    "hdf5": _hdf5,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_found_in(way, tmp_path):
    (tmp_path / "folder").mkdir()
    WAYS[way](tmp_path / "folder" / "file")
    name = "folder/file.npz" if way == "npz" else "folder/file"
    assert planted.found(tmp_path, {"it": SECRET, "another": planted.new()}) == {"it": [name], "another": []}
