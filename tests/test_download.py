import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.core.errors import PipelineError
from pipeline.core.schema import Data
from pipeline.data import archive
from pipeline.download import web
from pipeline.download.stage import download
from tests.archives import COUNTS, NAMES, images, table, tar_gz, write_folder, write_zip

WAYS = ("data.archive in conf/data/fer2013.yaml", "FER2013_ARCHIVE=", "KAGGLE_USERNAME", "make demo")


def data(**changes: object) -> Data:
    keys = {
        "name": "fer2013",
        "sources": ["archive", "environment", "kaggle"],
        "kaggle": "msambare/fer2013/versions/1",
        "classes": list(COUNTS),
        "counts": COUNTS,
    }
    return Data(**(keys | changes))


def refuse(chosen: Data, target: Path, *parts: str) -> str:
    """The message holds `parts`, ends with the ways forward, and `target` holds what it did before."""
    before = content(target)
    with pytest.raises(PipelineError) as caught:
        download(chosen, target)
    message = str(caught.value)
    for part in (*parts, *WAYS):
        assert part in message
    assert len(message.splitlines()) <= 3
    assert content(target) == before
    return message


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.exists() else {}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("KAGGLE", "FER2013")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(web, "SECONDS_BETWEEN_ATTEMPTS", 0)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "good.zip", images())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "fer2013"


# Local files


@pytest.mark.parametrize("suffix", [".zip", ".csv", ".tar.gz"])
def test_a_local_file_is_put_under_the_name_that_fits_its_content(tmp_path, target, good, suffix):
    source = tmp_path / "some file"
    whole = {".zip": good.read_bytes(), ".csv": table(), ".tar.gz": tar_gz(("fer2013.csv", table()))}[suffix]
    source.write_bytes(whole)
    assert download(data(archive=str(source)), target) == target / f"archive{suffix}"
    assert content(target) == {f"archive{suffix}": whole}
    assert source.exists()


def test_the_first_source_that_is_set_is_used(tmp_path, target, good, monkeypatch):
    monkeypatch.setenv("FER2013_ARCHIVE", str(good))
    download(data(), target)
    assert content(target) == {"archive.zip": good.read_bytes()}
    other = write_zip(tmp_path / "other.zip", {"fer2013.csv": table()})
    download(data(archive=str(other)), target)
    assert content(target) == {"archive.zip": other.read_bytes()}


def test_a_file_of_another_kind_replaces_the_earlier_one(tmp_path, target, good):
    (tmp_path / "x.csv").write_bytes(table())
    download(data(archive=str(tmp_path / "x.csv")), target)
    (target / ".download.part").write_bytes(b"left by a killed process")
    download(data(archive=str(good)), target)
    assert content(target) == {"archive.zip": good.read_bytes()}


@pytest.mark.parametrize(
    "members",
    [images(), {"fer2013.csv": table()}, {"data/fer2013/fer2013.csv": table()}, {"icml_face_data.csv": table()}],
)
def test_an_unpacked_folder_is_taken_too(tmp_path, target, members):
    folder = write_folder(tmp_path / "unpacked", members)
    assert sum(1 for _ in archive.read(download(data(archive=str(folder)), target))) == len(NAMES)


def test_a_missing_path_says_where_it_was_named(tmp_path, target, monkeypatch):
    refuse(data(archive="no/such.zip"), target, "data.archive names", "no/such.zip, which does not exist")
    monkeypatch.setenv("FER2013_ARCHIVE", str(tmp_path / "none.zip"))
    refuse(data(), target, "FER2013_ARCHIVE names", "none.zip, which does not exist")


def test_no_source_that_is_set_is_refused(target):
    refuse(data(sources=["archive", "environment"]), target, "none of its sources is set (archive, environment)")


def test_a_device_is_refused(target):
    refuse(data(archive=os.devnull), target, "is not a regular file")


def test_a_wrong_archive_leaves_the_earlier_one(tmp_path, target, good):
    download(data(archive=str(good)), target)
    fewer = write_zip(tmp_path / "fewer.zip", images(NAMES[1:]))
    refuse(data(archive=str(fewer)), target, f"{fewer}: other images", "angry train 1/2")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-30])
    refuse(data(archive=str(cut)), target, f"{cut}: damaged or cut short")
    assert content(target) == {"archive.zip": good.read_bytes()}


def half_then(error: BaseException) -> Callable[[Path, Path], None]:
    def copyfile(source: Path, destination: Path) -> None:
        destination.write_bytes(source.read_bytes()[:1000])
        raise error

    return copyfile


def test_an_interrupted_copy_leaves_the_earlier_archive_alone(target, good, monkeypatch):
    download(data(archive=str(good)), target)
    monkeypatch.setattr(shutil, "copyfile", half_then(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        download(data(archive=str(good)), target)
    assert content(target) == {"archive.zip": good.read_bytes()}


def test_a_full_disk_is_told(target, good, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", half_then(OSError(errno.ENOSPC, "No space left on device")))
    refuse(data(archive=str(good)), target, f"{target}: No space left on device")


def test_a_folder_that_cannot_be_made_is_told(tmp_path, good):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PipelineError, match="Not a directory"):
        download(data(archive=str(good)), tmp_path / "file" / "raw")


# http


class Server:
    """Serves `body` on this machine; each of `cuts` ends one answer after so many bytes."""

    def __init__(self, body: bytes):
        self.body = body
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.resumes = True
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.http.server_port}/fer2013.zip"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.resumes else 0
        status = self.statuses.pop(0) if self.statuses else 206 if start else 200
        body = self.body[start:]
        request.send_response(status)
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if status == 302:
            request.send_header("Location", self.address.replace("http", "ftp"))
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(good: Path) -> Iterator[Server]:
    started = Server(good.read_bytes())
    yield started
    started.close()


def test_a_lost_connection_is_resumed_where_it_broke(target, server, monkeypatch):
    monkeypatch.setenv("FER2013_ARCHIVE", server.address)
    server.cuts = [5000, 0, 3000]
    download(data(), target)
    assert content(target) == {"archive.zip": server.body}
    assert server.ranges == [None, "bytes=5000-", "bytes=5000-", "bytes=8000-"]


@pytest.mark.parametrize(
    ("resumes", "cuts", "statuses"),
    [(False, [5000], []), (False, [5000], [200, 416, 200]), (True, [], [503, 429, 200])],
    ids=["the server cannot resume", "it refuses the range", "it is busy"],
)
def test_a_failed_attempt_is_followed_by_another_from_the_start(target, server, resumes, cuts, statuses):
    server.resumes, server.cuts, server.statuses = resumes, cuts, statuses
    download(data(archive=server.address), target)
    assert content(target) == {"archive.zip": server.body}


def test_a_connection_that_is_always_lost_is_refused(target, server):
    server.cuts = [100] * web.ATTEMPTS
    refuse(data(archive=server.address), target, server.address, f"({web.ATTEMPTS} attempts)")


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden"), (204, "No Content")])
def test_an_error_of_the_server_is_told(target, server, status, reason):
    server.statuses = [status]
    refuse(data(archive=server.address), target, f"{server.address} answers {status} {reason}")
    assert len(server.ranges) == 1


def test_a_web_page_in_place_of_the_data_is_refused(target, server):
    server.body = b"<!DOCTYPE html><title>Please log in</title>"
    refuse(data(archive=server.address), target, f"{server.address}: this is a web page")


@pytest.mark.parametrize("sized", [True, False])
def test_too_large_a_download_is_refused(target, server, monkeypatch, sized):
    monkeypatch.setattr(web, "MAX_BYTES", 4000)
    if not sized:
        monkeypatch.setattr(BaseHTTPRequestHandler, "send_header", lambda *_: None)
    refuse(data(archive=server.address), target, "serves more than 4,000 bytes")


def test_a_server_that_is_away_is_told(target, server):
    server.close()
    refuse(data(archive=server.address), target, f"{server.address} cannot be reached")


def test_other_schemes_are_refused(target, server):
    for address in ("ftp://example.org/x.zip", "file:///etc/passwd"):
        refuse(data(archive=address), target, "accepted: http, https, or a path")
    for address in ("http://", "http://[::1/x"):
        refuse(data(archive=address), target, f"{address} cannot be read (InvalidURL)")
    server.statuses = [302]
    refuse(data(archive=server.address), target, "cannot be read (InvalidSchema)")


@pytest.mark.parametrize("fault", ["404", "away", "cut", "page", "redirect", "port", "none"])
def test_secrets_in_an_address_are_never_shown(target, server, fault, capfd):
    secret = server.address.replace("//", "//me:hunter2@") + "?token=s3cret#hunter2"
    if fault == "404":
        server.statuses = [404]
    elif fault == "redirect":
        server.statuses = [302]
    elif fault == "cut":
        server.cuts = [100] * web.ATTEMPTS
    elif fault == "page":
        server.body = b"<html>"
    elif fault == "away":
        server.close()
    elif fault == "port":
        secret = secret.replace("/fer", "x/fer")
    message = refuse(data(archive=secret), target) if fault != "none" else str(download(data(archive=secret), target))
    shown = message + "".join(capfd.readouterr())
    assert "hunter2" not in shown
    assert "s3cret" not in shown
    assert "me:" not in shown


# Kaggle


def cached(root: Path, members: dict[str, bytes]) -> Path:
    """Lay out kagglehub's cache as a finished download leaves it."""
    folder = write_folder(root / "cache/datasets/msambare/fer2013/versions/1", members)
    (folder.parents[1] / "1.complete").touch()
    return folder


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("members", [images(), {"fer2013.csv": table()}])
def test_kaggle_works_from_the_cache_without_a_network(tmp_path, target, members):
    cached(tmp_path, members)
    path = download(data(), target)
    assert sum(1 for _ in archive.read(path)) == len(NAMES)
    assert list(content(target)) == [path.name]


@pytest.mark.usefixtures("_no_network")
def test_kaggle_without_a_network_gives_the_ways_forward(target):
    refuse(data(), target, "msambare/fer2013/versions/1: Kaggle cannot be reached")


@pytest.mark.usefixtures("_no_network")
def test_an_incomplete_cache_of_kaggle_is_named(tmp_path, target):
    folder = cached(tmp_path, images(NAMES[1:]))
    refuse(data(), target, "Kaggle's msambare/fer2013/versions/1", str(folder), "angry train 1/2")


def test_unreadable_credentials_of_kaggle_are_told(tmp_path, target):
    write_folder(tmp_path / "home", {"kaggle.json": b"{"})
    refuse(data(), target, "kagglehub: Invalid Kaggle credentials file")


@pytest.mark.parametrize(
    ("status", "message"), [(403, "Kaggle answers 403 and refuses: are the cred"), (404, "Kaggle answers 404")]
)
def test_an_answer_of_kaggle_is_told(target, monkeypatch, status, message):
    import kagglehub
    import requests

    def dataset_download(handle: str) -> str:
        response = requests.Response()
        response.status_code = status
        raise requests.HTTPError("x", response=response)

    monkeypatch.setattr(kagglehub, "dataset_download", dataset_download)
    refuse(data(), target, message)


# The demo


def test_drawn_faces_need_no_download(target):
    faces = data(name="synthetic", sources=["synthetic"], kaggle=None, synthetic_seed=1)
    first = download(faces, target).read_bytes()
    assert download(faces, target).read_bytes() == first
    assert list(content(target)) == ["archive.zip"]


@pytest.mark.process
def test_importing_the_stage_loads_nothing_heavy():
    heavy = "{'numpy', 'PIL', 'requests', 'kagglehub', 'tensorflow', 'mlflow'}"
    code = f"import sys, pipeline.download; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
