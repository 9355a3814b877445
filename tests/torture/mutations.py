"""How input is made bad: bytes that change, members and rows that only an attack or another data set has."""

import io
import stat
import string
import tarfile
import zipfile
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st
from PIL import Image

from tests import archives

EVIL = (
    "../x",
    "train/../../x",
    "/etc/x",
    "a\\b",
    "C:/x",
    "train//x",
    "./x",
    "train/angry/..",
    "train/\0x",
    "~/x",
    "\n",
)
KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LA", "I;16", "I", "F")
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return `whole` with one to four changes of its bytes, half of them near its end, where a zip has its index."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        size = max(1, len(content))
        place = draw(st.integers(0, size - 1) | st.integers(max(0, size - 200), size - 1))
        match draw(st.sampled_from(("bit", "bytes", "insert", "drop", "repeat", "cut"))):
            case "bit" if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                content[place : place + 4] = draw(st.binary(min_size=4, max_size=4))
            case "insert":
                content[place:place] = draw(st.binary(max_size=9))
            case "drop":
                del content[place : place + draw(st.integers(1, 300))]
            case "repeat":
                content[place:place] = content[place : place + draw(st.integers(1, 300))]
            case "cut":
                del content[place:]
    return bytes(content)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """Return a zip or a tar.gz of which one member has a name, or is of a kind, that no such archive has."""
    name = draw(st.sampled_from((*EVIL, archives.NAMES[0])) | st.text(max_size=300))
    link, tar = draw(st.booleans()), draw(st.booleans())
    if tar:
        info = tarfile.TarInfo(name if not link else "fer2013.csv")
        info.type = draw(st.sampled_from(LINKS)) if link else tarfile.REGTYPE
        info.linkname = draw(st.sampled_from(EVIL))
        try:
            return archives.tar_gz((info, b""), ("fer2013.csv", archives.table()))
        except (UnicodeError, ValueError):  # a name that tarfile does not write
            info.name = EVIL[0]
            return archives.tar_gz((info, b""), ("fer2013.csv", archives.table()))
    member = zipfile.ZipInfo("x")
    member.filename = name.encode(errors="replace").decode()[:300] or "x"
    kind = draw(st.sampled_from((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK))) if link else stat.S_IFREG
    member.external_attr = (kind | 0o777) << 16
    return _zip([*archives.images().items(), (member, draw(st.sampled_from((b"", b"/etc/passwd", archives.image()))))])


@st.composite
def bombs(draw: st.DrawFn) -> bytes:
    """Return an archive of which a part unpacks to far more than it should, or says another size than it has."""
    size = draw(st.integers(1, 64)) * 2**20
    filler = draw(st.sampled_from((b"\0", b"1 ", b"\n", b'"', b"0,1,Training\n")))
    huge = filler * (size // len(filler))
    match draw(
        st.sampled_from(("image", "table", "extra", "tar", "extras", "pax", "members", "index", "nested", "size"))
    ):
        case "image":
            return _zip([*archives.images(archives.NAMES[1:]).items(), (archives.NAMES[0], archives.image() + huge)])
        case "table":
            return _zip([("fer2013.csv", b"emotion,pixels,Usage\n" + huge)])
        case "extra":
            return _zip([*archives.images().items(), ("train/angry/Training_9.jpg", huge)])
        case "tar":
            return archives.tar_gz(("fer2013.csv", b"emotion,pixels,Usage\n" + huge))
        case "extras":
            part = huge[: draw(st.integers(2**15, 2**20))]
            extras = [(f"movie{number}", part) for number in range(size // len(part))]
            return archives.tar_gz(*extras, ("fer2013.csv", archives.table()), *extras)
        case "pax":
            header = tarfile.TarInfo("fer2013.csv")
            header.pax_headers = {"comment": "x" * min(size, 2**24)}
            return archives.tar_gz((header, archives.table()))
        case "members":
            count = draw(st.integers(1, 20_000))
            return _zip(
                [*archives.images().items(), *((f"train/angry/Training_{99 + i}.jpg", b"") for i in range(count))]
            )
        case "index":
            whole = _zip([("x", b"")])
            start, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
            index = whole[start:end] * (size // (end - start))
            ending = bytearray(whole[end:])
            ending[12:16] = len(index).to_bytes(4, "little")
            return whole[:start] + index + bytes(ending)
        case "nested":
            return _zip([("fer2013.zip", _zip([("fer2013.zip", _zip([("x", huge)]))]))])
        case "size":
            whole = bytearray(_zip([*archives.images().items()]))
            place = whole.rindex(b"PK\1\2") + draw(st.sampled_from((20, 24, 28, 30, 32, 42)))
            whole[place : place + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little")
            return bytes(whole)


@st.composite
def wrong_images(draw: st.DrawFn) -> bytes:
    """Return a zip of which one image is another one, has another name or stands twice."""
    images = archives.images()
    name = draw(st.sampled_from(archives.NAMES))
    parts = st.sampled_from(("train", "test", "angry", "happy", "smile", "Training_1.jpg", "PublicTest_x.png", "", "7"))
    match draw(st.sampled_from(("content", "damage", "name", "twice", "missing"))):
        case "content":
            images[name] = draw(pictures())
        case "damage":
            images[name] = draw(damaged(images[name]))
        case "name":
            images["/".join(draw(st.lists(parts, min_size=1, max_size=4)))] = images.pop(name)
        case "twice":
            images[name.replace("_", "_00")] = images[name]
        case "missing":
            del images[name]
    return _zip([*images.items()])


@st.composite
def rows(draw: st.DrawFn) -> bytes:
    """Return a fer2013.csv of which a row or the header is another one."""
    lines = archives.table().decode().splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    emotion, pixels, usage = lines[place].split(",")
    words = pixels.split()
    cell = st.sampled_from(("", "7", "-1", "256", "1.0", "nan", "1e9", "9" * 5000, "happy", "Training", '"', "\0", "٣"))
    match draw(st.sampled_from(("emotion", "usage", "pixel", "number", "cells", "drop", "twice", "quote"))):
        case "emotion":
            emotion = draw(cell | st.text(max_size=9))
        case "usage":
            usage = draw(cell | st.text(max_size=9))
        case "pixel":
            words[draw(st.integers(0, len(words) - 1))] = draw(cell)
        case "number":
            words = words * draw(st.integers(0, 3)) + words[: draw(st.integers(0, len(words)))]
        case "cells":
            usage = ",".join([usage] * draw(st.integers(2, 2000)))
        case "drop":
            lines[place + 1 :] = []
        case "twice":
            lines.insert(place, lines[place])
        case "quote":
            usage = f'"{usage}'
    lines[place] = ",".join((emotion, " ".join(words), usage))
    return ("\n".join(lines) + "\n").encode(errors="replace")


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """Return a picture of some size, mode and format, with what may stand beside its pixels."""
    side = st.sampled_from((1, 2, 47, 48, 49, 600, 6000))
    size, mode = (draw(side), draw(st.sampled_from((1, 47, 48, 49, 600)))), draw(st.sampled_from(MODES))
    levels = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, size[::-1], np.uint8)
    picture = Image.fromarray(levels)
    if mode in ("I;16", "I", "F"):
        scaled = levels.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        picture = Image.fromarray(scaled * draw(st.sampled_from((1, 200))) - (scaled.dtype.kind != "u") * 9)
    elif mode != "L":
        picture = picture.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 70))  # the orientation
    more = {"exif": exif, "transparency": draw(st.integers(0, 300)), "comment": draw(st.binary(max_size=50))}
    file = io.BytesIO()
    try:
        picture.save(file, draw(st.sampled_from(KINDS)), **more)
    except (OSError, ValueError, TypeError, KeyError, SystemError):  # a mode that the format has not
        file = io.BytesIO()
        picture.save(file, "TIFF")
    return file.getvalue()


DEEP = b"x: " + b"[" * 5000
LAUGHS = b"x0: &x0 1\n" + b"".join(b"x%d: &x%d [%s]\n" % (i, i, b"*x%d, " % (i - 1) * 9) for i in range(1, 12))
"""Values that stand for nine each, eleven times over."""
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(("${seed}", "${x", "${oc.env:NONE}", "???", "${choice:model,none}", "1e400", "../../x", "@", "%"))
    | st.lists(st.integers(), max_size=3) | st.dictionaries(st.text(max_size=5), st.integers(), max_size=3)
)  # fmt: skip


@st.composite
def settings(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return the YAML file `whole` damaged, with another value, or with what would fill the memory."""
    changed = settings_of(yaml.safe_load(whole)).map(lambda keys: yaml.safe_dump(keys, allow_unicode=True))
    more = st.sampled_from((DEEP, LAUGHS, b"\0", b"x: !!python/object/apply:os.getcwd []")).map(whole.__add__)
    return draw(damaged(whole) | changed.map(lambda text: text.encode(errors="replace")) | more)


@st.composite
def settings_of(draw: st.DrawFn, keys: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings of which one has another value, is missing, or is one more."""
    changed = {**keys}
    key = draw(st.sampled_from([*keys, "", "x", "defaults", "hydra"]))
    if isinstance(keys.get(key), dict) and keys[key] and draw(st.booleans()):
        changed[key] = draw(settings_of(keys[key]))
    elif key in keys and draw(st.booleans()):
        del changed[key]
    else:
        changed[key] = draw(VALUES)
    return changed


def overrides() -> st.SearchStrategy[list[str]]:
    """Return words of a command line, most of which are nearly right."""
    right = ("model=linear", "train.epochs=3", "data.classes=[happy,sad]", "experiment=demo", "+x.y=1", "~seed")
    right += ("optimizer.learning_rate=1e-3", "hydra.run.dir=x", "evaluate.ensemble={a:b}", "choices.model=vgg")
    nearly = st.sampled_from(right).flatmap(
        lambda word: damaged(word.encode()).map(lambda b: b.decode(errors="replace"))
    )
    return st.lists(nearly | st.text(string.printable, max_size=12), min_size=1, max_size=3)


def _zip(contents: list[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in contents:
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, 1)
    return file.getvalue()
