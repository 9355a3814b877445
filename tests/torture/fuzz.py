"""Looks for input that the readers do not refuse in their one way: `python -m tests.torture.fuzz [SECONDS]`.

Atheris changes the archives, tables and pictures of tests/archives.py, each kind in a process of its own, and goes on
from those that reach new code. What ends a reader otherwise is kept below outputs/fuzz/, and the exit code is 1.
"""

import gzip
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from pipeline.core import paths
from pipeline.core.errors import PipelineError

READERS = ("zip", "tar", "csv", "image", "picture")
SECONDS, LONGEST, MEGABYTES = 300, 20, 2048
"""... of the whole; of a single input, and of memory, above which it counts as a finding."""


def main(arguments: list[str]) -> None:
    """Fuzz each reader for its share of the seconds; or be the process in which one of them is fuzzed."""
    if find_spec("atheris") is None:
        sys.exit("error: Atheris is not installed; accepted: `pip install atheris`, on Linux")
    if arguments and arguments[0] in READERS:
        fuzz(*arguments)
    seconds = int(arguments[0]) if arguments else SECONDS
    found = [name for name in READERS if not searched(name, seconds // len(READERS))]
    sys.exit(f"found in {', '.join(found)}: see {_kept()}" if found else 0)


def searched(name: str, seconds: int) -> bool:
    """Fuzz the reader `name`; tell whether nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(seeds(name)):
            (corpus / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={_kept()}/{name}-", "-seed=2013"]
        options += [f"-timeout={LONGEST}", f"-rss_limit_mb={MEGABYTES}", str(corpus)]
        command = [sys.executable, "-m", "tests.torture.fuzz", name, *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    runs = re.findall(r"(?:Done |^#)(\d+)", done.stderr, re.MULTILINE)
    print(f"{name}: {int(runs[-1]) if runs else 0:,} inputs, exit code {done.returncode}", flush=True)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-3000:])
    return done.returncode == 0


def fuzz(name: str, *options: str) -> None:
    """Call the reader `name` with inputs of libFuzzer's making until the time is up; never return."""
    import atheris

    with atheris.instrument_imports(include=["pipeline.data", "pipeline.faces", "PIL", "zipfile", "tarfile"]):
        read = reader(name, Path(options[-1]).with_name("input"))

    def one(data: bytes) -> None:
        with suppress(PipelineError):
            read(data)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def reader(name: str, path: Path) -> Callable[[bytes], object]:
    """Return the function that reads an input as `name`; an archive is read from the file `path`."""
    from pipeline.data import archive, layouts
    from pipeline.faces import media

    def archived(data: bytes) -> None:
        # A changed byte within gzip would end at its checksum: what is changed here is what it unpacks to.
        path.write_bytes(gzip.compress(data, 0) if name == "tar" else data)
        for _ in archive.read(path):
            pass

    if name == "image":
        return lambda data: layouts.decode("image", data)
    if name == "picture":
        return lambda data: media.decode(io.BytesIO(data), "picture")
    return archived


def seeds(name: str) -> Iterator[bytes]:
    """Yield small inputs of the kind `name` that are read."""
    from tests import archives

    small = archives.table([archives.row()])
    faces = archives.images([*archives.NAMES[:2], "test/sad/PublicTest_9.png"])
    with tempfile.TemporaryDirectory() as folder:
        if name == "zip":
            for deflate in (False, True):
                yield archives.write_zip(Path(folder, "zip"), faces, deflate).read_bytes()
                yield archives.write_zip(Path(folder, "zip"), {"a/fer2013.csv": small}, deflate).read_bytes()
    if name == "tar":
        yield gzip.decompress(archives.tar_gz(("README", b"x"), ("fer2013/fer2013.csv", small)))
    if name == "csv":
        yield small
    if name == "image":
        yield from faces.values()
    if name == "picture":
        for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"):
            yield archives.image(kind=kind)
        yield archives.image(archives.pixels(0).astype("uint16") * 257, "PNG")
        yield archives.image(archives.pixels(0).astype("int32"), "TIFF")


def _kept() -> Path:
    folder = paths.ROOT / "outputs" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main(sys.argv[1:])
