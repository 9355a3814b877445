import contextlib
import gzip
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

from pipeline.core.errors import PipelineError
from pipeline.data import archive, containers
from tests.archives import (
    COUNTS,
    NAMES,
    image,
    images,
    pixels,
    rename,
    row,
    table,
    tar_gz,
    write_folder,
    write_zip,
)
from tests.torture.mutations import damaged

FACES_OF_NAMES = [
    ("train", "angry", 3),
    ("train", "angry", 12),
    ("train", "happy", 12),
    ("val", "happy", 2),
    ("val", "angry", 5),
    ("test", "angry", 1),
    ("test", "happy", 4),
]


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "data"
    path.write_bytes(content)
    return path


def refuse(path: Path, *parts: str) -> None:
    """The message has one or two lines, names the archive and contains `parts`."""
    with pytest.raises(PipelineError) as caught:
        list(archive.read(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) <= 2
    for part in parts:
        assert part in message


# What is read


@pytest.mark.parametrize("top", ["", "fer2013/", "archive (1)/"])
@pytest.mark.parametrize("deflate", [False, True])
def test_kaggle_zip_gives_its_faces_sorted(tmp_path, top, deflate):
    path = write_zip(tmp_path / "x", {top + n: b for n, b in images().items()}, deflate)
    faces = list(archive.read(path))
    assert [face[:3] for face in faces] == FACES_OF_NAMES
    assert all(face.pixels.shape == (48, 48) and face.pixels.dtype == np.uint8 for face in faces)


def test_png_pixels_come_back_exactly(tmp_path):
    path = write_zip(tmp_path / "x", images(["train/sad/Training_0.png"]))
    (face,) = archive.read(path)
    assert np.array_equal(face.pixels, pixels(0))


def test_harmless_extras_of_a_zip_are_ignored(tmp_path):
    extras = ["train/", "train/angry/", ".DS_Store", "train/.DS_Store", "__MACOSX/train/angry/._Training_3.jpg"]
    extras += ["train/angry/._Training_3.jpg", "README.md", "train/README", "LICENSE", "test/Thumbs.db"]
    path = write_zip(tmp_path / "x", images() | dict.fromkeys(extras, b""))
    assert [face[:3] for face in archive.read(path)] == FACES_OF_NAMES


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013/fer2013.csv", "./fer2013/fer2013.csv"])
@pytest.mark.parametrize("kind", ["plain", "zip", "tar.gz"])
def test_table_gives_its_faces_in_the_order_of_its_rows(tmp_path, kind, name):
    content = table([row("happy", "PrivateTest", 1), row("neutral", "Training", 2), row("sad", "PublicTest", 3)])
    if kind == "plain":
        path = file(tmp_path, content)
    elif kind == "zip":
        path = write_zip(tmp_path / "x", {name.removeprefix("./"): content, "README": b"read me"})
    else:
        top = tarfile.TarInfo(".")
        top.type = tarfile.DIRTYPE
        path = file(tmp_path, tar_gz((top, b""), ("README", b"read me"), (name, content), ("fer2013.bib", b"@")))
    faces = list(archive.read(path))
    assert [f[:3] for f in faces] == [("test", "happy", 0), ("train", "neutral", 1), ("val", "sad", 2)]
    assert all(np.array_equal(face.pixels, pixels(seed)) for face, seed in zip(faces, (1, 2, 3), strict=True))


def test_table_may_have_windows_line_ends_a_byte_order_mark_and_another_order_of_columns(tmp_path):
    emotion, values, usage = row("fear", "PublicTest", 7).split(",")
    path = file(tmp_path, f"\ufeffemotion, Usage, pixels\r\n{emotion},{usage},{values}\r\n\r\n".encode())
    (face,) = archive.read(path)
    assert face[:3] == ("val", "fear", 0)
    assert np.array_equal(face.pixels, pixels(7))


EXPECTED = [("train", "happy", 0), ("val", "neutral", 1), ("test", "sad", 2)]
ROWS = [row("happy", "Training", 1), row("neutral", "PublicTest", 2), row("sad", "PrivateTest", 3)]


def columns(rows: list[str], *order: int, delimiter: str = ",") -> str:
    return "\n".join(delimiter.join(cells[i] for i in order) for cells in (line.split(",") for line in rows))


@pytest.mark.parametrize(
    "content",
    [
        table([*ROWS, ",,", ",,"]),
        columns(["emotion,pixels, Usage", *ROWS], 0, 1, 2, delimiter=";").encode(),
        ("\ufeff" + columns(["emotion,pixels,Usage", *ROWS], 0, 1, 2)).encode("utf-16-le"),
        ("\n".join([",emotion,pixels,Usage", *(f"{i},{line}" for i, line in enumerate(ROWS))])).encode(),
        ("\n".join(["emotion,pixels,Usage", *(line[0] + ".0" + line[1:] for line in ROWS)])).encode(),
        gzip.compress(table(ROWS)),
        gzip.decompress(tar_gz(("fer2013/README", b"x"), ("fer2013/fer2013.csv", table(ROWS)))),
    ],
    ids=["blank rows", "semicolons", "UTF-16", "index", "float labels", "gzip", "tar"],
)
def test_a_table_as_people_have_it_is_read(tmp_path, content):
    faces = list(archive.read(file(tmp_path, content)))
    assert [face[:3] for face in faces] == EXPECTED
    assert all(np.array_equal(face.pixels, pixels(seed)) for face, seed in zip(faces, (1, 2, 3), strict=True))


TRAIN, TEST = b"emotion,pixels\n0,1 2 3\n", b"pixels\n1 2 3\n"


@pytest.mark.parametrize(
    "members",
    [
        {"challenge/icml_face_data.csv": table(ROWS), "challenge/train.csv": TRAIN, "challenge/test.csv": TEST},
        {"fer2013.tar.gz": tar_gz(("fer2013/fer2013.csv", table(ROWS))), "train.csv": TRAIN, "test.csv": TEST},
        {"fer2013.csv": table(ROWS), "icml_face_data.csv": table(), "fer2013.tar.gz": tar_gz(("fer2013.csv", table()))},
        {"deep/er/faces.CSV": table(ROWS)},
    ],
)
def test_the_challenges_download_is_read_with_all_its_files(tmp_path, members):
    assert [face[:3] for face in archive.read(write_zip(tmp_path / "x", members, deflate=True))] == EXPECTED


def test_files_that_are_no_help_are_named(tmp_path):
    packed = write_zip(tmp_path / "x", {"train.csv": TRAIN, "test.csv": TEST})
    refuse(packed, "train.csv has no column Usage: it is the challenge's train.csv", "test.csv has no column emotion")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"<html>"), "has the columns '<html>'"),
        (b"emotion,pixels\n0,1 2", "is the challenge's train.csv, without val and test"),
        (b"pixels\n1 2", "is the challenge's test.csv, without labels"),
        (
            b"Usage,Image name,neutral,happiness\nTraining,fer0000000.png,4,0",
            "is FER+'s table of labels, without images",
        ),
    ],
)
def test_another_table_is_called_what_it_is(tmp_path, content, message):
    refuse(file(tmp_path, content), message, "accepted: fer2013.csv or icml_face_data.csv, with emotion, pixels, Usage")


def test_a_tar_of_many_tables_is_refused_before_they_are_read(tmp_path):
    many = tar_gz(*((f"{i}.csv", TEST) for i in range(6)), ("fer2013.csv", table(ROWS)))
    refuse(file(tmp_path, many), "holds more than 5 tables")


def test_a_zip_made_on_windows_is_read(tmp_path):
    path = write_zip(tmp_path / "x", images())
    for name in NAMES:
        rename(path, name, name.replace("/", "\\"))
    assert [face[:3] for face in archive.read(path)] == FACES_OF_NAMES


# Refused: no archive, damage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>emotion</html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n", "no archive"),
        (b"PK\5\6" + b"\0" * 18, "holds no image in train/ or test/, and no table of FER-2013"),
        (b"PK\3\4", "damaged or cut short"),
        (gzip.compress(table())[:-9], "damaged or cut short"),
        (tar_gz(("README", b"x")), "holds no table of FER-2013"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    refuse(file(tmp_path, content), message, "accepted: Kaggle's zip")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    refuse(tmp_path / "none", "cannot be read")
    refuse(tmp_path, "cannot be read")


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, kept):
    for whole in (
        write_zip(tmp_path / "zip", images()).read_bytes(),
        tar_gz(("fer2013.csv", table())),
        write_zip(tmp_path / "csv.zip", {"fer2013.csv": table()}, deflate=True).read_bytes(),
    ):
        refuse(file(tmp_path, whole[: int(len(whole) * kept)]), "damaged or cut short")


def test_a_changed_byte_is_refused(tmp_path):
    whole = bytearray(write_zip(tmp_path / "x", images()).read_bytes())
    whole[200] ^= 1
    refuse(file(tmp_path, bytes(whole)), "Bad CRC-32", NAMES[0])
    packed = bytearray(tar_gz(("fer2013.csv", table())))
    packed[-8] ^= 1
    refuse(file(tmp_path, bytes(packed)), "CRC check failed")


@hypothesis.settings(
    max_examples=300, derandomize=True, database=None, deadline=None, suppress_health_check=HealthCheck
)
@hypothesis.given(data=st.data())
def test_damage_raises_no_other_error(tmp_path, data):
    small = {"fer2013.csv": table([row("sad", "Training")])}
    faces = write_zip(tmp_path / "a", images(NAMES[:2])).read_bytes()
    packed = write_zip(tmp_path / "b", small, deflate=True).read_bytes()
    whole = st.sampled_from([faces, packed, tar_gz(*small.items())])
    with contextlib.suppress(PipelineError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list(archive.read(file(tmp_path, data.draw(whole.flatmap(damaged)))))


# Refused: members that only an attack needs


@pytest.mark.parametrize(
    "name", ["../x", "train/../../x", "/etc/x", "train\\..\\..\\x", "C:/x", "train//x", "./x", "train/angry/.."]
)
def test_unsafe_names_are_refused(tmp_path, name):
    refuse(write_zip(tmp_path / "x", images() | {name: b""}), "unsafe member name", repr(name.replace("\\", "/")))
    if name != "./x":  # usual in a tar
        refuse(file(tmp_path, tar_gz((name, b""), ("fer2013.csv", table()))), "unsafe member name")


def test_a_name_that_a_null_byte_would_cut_is_refused(tmp_path):
    path = write_zip(tmp_path / "x", images() | {"train/x.jpg": b""})
    refuse(rename(path, "train/x.jpg", "train/x\0jpg"), "unsafe member name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    link = zipfile.ZipInfo("train/angry/Training_1.jpg")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x", "w") as target:
        target.writestr(link, "/etc/passwd")
    refuse(tmp_path / "x", "'train/angry/Training_1.jpg' is a link or a device")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    link = tarfile.TarInfo("fer2013.csv")
    link.type, link.linkname = kind, "/etc/passwd"
    refuse(file(tmp_path, tar_gz((link, b""))), "is a link or a device")


@pytest.mark.parametrize("other", ["train/angry/Training_12.png", "train/angry/Training_012.jpg"])
def test_an_image_twice_is_refused(tmp_path, other):
    refuse(write_zip(tmp_path / "x", images([*NAMES, other])), NAMES[0], other, "are both train angry 12")
    path = write_zip(tmp_path / "x", images() | {"train/angry/Training_9.jpg": image()})
    refuse(rename(path, "Training_9.jpg", "Training_3.jpg"), "are both train angry 3")


@pytest.mark.parametrize("other", ["a/fer2013.csv", "b/fer2013.csv"])
def test_a_table_twice_is_refused(tmp_path, other):
    refuse(file(tmp_path, tar_gz(("a/fer2013.csv", table()), (other, table()))), "holds a/fer2013.csv and")
    path = write_zip(tmp_path / "x", {"a/fer2013.csv": table(), "b/fer2013.csv": table()})
    refuse(rename(path, "b/fer2013.csv", other), "holds a/fer2013.csv and")


def test_an_encrypted_member_is_refused(tmp_path):
    content = bytearray(write_zip(tmp_path / "x", images(NAMES[:1])).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    refuse(file(tmp_path, bytes(content)), "is encrypted", "accepted: a zip without a password")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_compression_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x", "w", method) as target:
        target.writestr(NAMES[0], image())
    refuse(tmp_path / "x", f"has compression {method}")


@pytest.mark.parametrize("start", [0, 10**6])
def test_members_that_share_their_bytes_or_start_before_the_file_are_refused(tmp_path, start):
    """As in a bomb: many records, one content."""
    plain = write_zip(tmp_path / "x", {NAMES[0]: image()}).read_bytes()
    place, end = plain.index(b"PK\1\2"), plain.index(b"PK\5\6")
    index = plain[place:end] * (1 if start else 2)
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(index), place + start, 0)
    refuse(file(tmp_path, plain[:place] + index + ending), "damaged or cut short", "overlaps")


def test_too_large_an_image_is_refused(tmp_path):
    bomb = image() + bytes(containers.MAX_IMAGE)
    refuse(write_zip(tmp_path / "x", {NAMES[0]: bomb}, deflate=True), NAMES[0], "is too large")


def test_too_large_an_archive_is_refused_unless_more_images_are_expected(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_MEMBERS", 5)
    monkeypatch.setattr(containers, "MAX_TABLE", 100_000)
    rows = table([row()] * 20)
    for faces, content, message in (
        (len(NAMES), write_zip(tmp_path / "x", images()).read_bytes(), "holds more than 5 members"),
        (20, write_zip(tmp_path / "x", {"fer2013.csv": rows}, deflate=True).read_bytes(), "decompression bomb"),
        (20, rows, "decompression bomb"),
        (20, tar_gz(("fer2013.csv", rows)), "decompression bomb"),
    ):
        path = file(tmp_path, content)
        refuse(path, message)
        assert len(list(archive.read(path, images=2 * archive.FER2013))) == faces


LARGE, HALF = ("x", bytes(3 * containers.MAX_EXTRA)), ("x", bytes(containers.MAX_EXTRA // 2))
TABLE = ("fer2013.csv", table())


@pytest.mark.parametrize("members", [(LARGE, TABLE), (TABLE, LARGE), (HALF, HALF, TABLE), (TABLE, HALF, HALF)])
def test_large_extras_in_a_tar_are_refused(tmp_path, members):
    refuse(file(tmp_path, tar_gz(*members)), "decompression bomb")
    list(archive.read(file(tmp_path, tar_gz(HALF, TABLE, HALF))))


def test_a_large_header_or_end_of_a_tar_is_refused(tmp_path):
    refuse(file(tmp_path, gzip.compress(gzip.decompress(tar_gz(TABLE)) + LARGE[1])), "decompression bomb")
    header = tarfile.TarInfo("fer2013.csv")
    header.pax_headers = {"comment": "x" * 2 * containers.MAX_EXTRA}
    refuse(file(tmp_path, tar_gz((header, TABLE[1]))), "decompression bomb")


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path):
    refuse(file(tmp_path, b"emotion,pixels,Usage\n0," + b"1 " * 10**6), "line 2 is over 20,000 letters")


@pytest.mark.parametrize("rows", [[], [row()]])
def test_blank_lines_are_refused_before_they_take_minutes(tmp_path, rows):
    refuse(
        file(tmp_path, table(rows) + b"\n" * 10**6), f"line {1002 + len(rows)} is blank, as many before it; accepted"
    )


def test_a_large_index_of_a_zip_is_refused_before_it_is_read(tmp_path):
    size = containers.MAX_INDEX + 1
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 4, 0)
    path = file(tmp_path, b"PK\3\4" + bytes(size) + ending)
    refuse(path, "has an index of 16,777,217 bytes; accepted: at most 16,777,216")
    with pytest.raises(PipelineError, match="Bad magic number for central directory"):
        list(archive.read(path, images=2 * archive.FER2013))


# Refused: other content


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/smile/Training_1.jpg", "unknown emotion 'smile'"),
        ("train/Angry/Training_1.jpg", "unknown emotion 'Angry'"),
        ("train/angry/PublicTest_1.jpg", "unknown usage 'PublicTest'"),
        ("test/angry/Training_1.jpg", "unknown usage 'Training'"),
        ("test/angry/Hidden_1.jpg", "unknown usage 'Hidden'"),
        ("train/angry/Training_x.jpg", "unexpected file"),
        ("train/angry/Training_1.gif", "unexpected file"),
        ("train/angry/more/Training_1.jpg", "unexpected file"),
        ("train/Training_1.jpg", "unexpected file"),
        ("train/angry/Training_1.jpg\n", "unexpected file"),
        ("train/notes.txt", "unexpected file"),
        ("copy/train/angry/Training_1.jpg", "accepted: in one folder, or in none"),
    ],
)
def test_unexpected_files_in_the_folders_are_refused(tmp_path, name, message):
    refuse(write_zip(tmp_path / "x", images() | {name: image()}), message, "accepted")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable JPEG or PNG"),
        (b"<html>", "no readable JPEG or PNG"),
        (image()[:600], "no readable JPEG or PNG"),
        (image(kind="PNG")[:600], "no readable JPEG or PNG"),
        (image(kind="BMP"), "no readable JPEG or PNG"),
        (image(pixels(0)[:47]), "48x47 L"),
        (image(np.zeros((900, 900), np.uint8)), "900x900 L"),
        (image(np.stack([pixels(0)] * 3, -1)), "48x48 RGB"),
        (image(pixels(0) > 99, "PNG"), "48x48 1"),
        (image(pixels(0).astype(np.uint16), "PNG"), "48x48 I;16"),
        (image(pixels(0) // 64, "PNG", bits=2), "not of 8 bits"),
    ],
)
def test_images_that_are_not_48x48_grey_are_refused(tmp_path, content, message):
    refuse(write_zip(tmp_path / "x", {NAMES[0]: content}), repr(NAMES[0]), message)


VALUES = row().split(",")[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"7,{VALUES},Training", "line 3 has the unknown emotion '7'; accepted: 0, 1, 2, 3, 4, 5, 6"),
        (f"happy,{VALUES},Training", "line 3 has the unknown emotion 'happy'"),
        (f"0,{VALUES},training", "line 3 has the unknown usage 'training'; accepted: Training, PublicTest"),
        (f"0,{VALUES}", "line 3 has 2 cells"),
        (f"0,{VALUES},Training,1", "line 3 has 4 cells"),
        (f"0,{VALUES} 1,Training", "line 3 has 2,305 pixels; accepted: 2,304"),
        ("0,,Training", "line 3 has 0 pixels"),
        (f"0,{VALUES[: VALUES.rindex(' ')]} 256,Training", "line 3 has the pixel '256'"),
        (f"0,{VALUES[: VALUES.rindex(' ')]} -1,Training", "line 3 has the pixel '-1'"),
        (f"0,{VALUES[: VALUES.rindex(' ')]} 1.0,Training", "line 3 has the pixel '1.0'"),
        (f"0,{VALUES[: VALUES.rindex(' ')]} nan,Training", "line 3 has the pixel 'nan'"),
        (f"0,{VALUES[: VALUES.rindex(' ')]} \u0661,Training", "line 3 has the pixel '\u0661'"),
        (f'0,"{VALUES},Training', "line 3 is no line of a CSV table"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, line, message):
    refuse(file(tmp_path, table([row(), line])), message)


@pytest.mark.parametrize("header", ["emotion,pixels", "emotion,pixels,Usage,Usage", "emotion,emotion,Usage"])
def test_other_columns_are_refused(tmp_path, header):
    refuse(file(tmp_path, table([row()]).replace(b"emotion,pixels,Usage", header.encode())), "columns", "Usage")


# verify


def test_verify_accepts_the_counts_and_lists_differences(tmp_path):
    path = write_zip(tmp_path / "x", images())
    archive.verify(path, COUNTS, "the test's zip")
    archive.verify(file(tmp_path, table()), COUNTS, "the test's table")
    with pytest.raises(PipelineError) as caught:
        archive.verify(path, {"angry": [1000, 1, 1], "sad": [0, 0, 3]}, "the test's zip")
    assert str(caught.value) == (
        "the test's zip: other images than data.counts says; found/expected: angry train 2/1,000, "
        "happy train 1/0, happy val 1/0, happy test 1/0, sad test 0/3"
    )
    with pytest.raises(PipelineError, match=r"angry train 2/0, .* and 1 more"):
        archive.verify(path, {}, "it")


# pack


def test_pack_writes_the_same_bytes_each_time_and_they_read_back(tmp_path):
    for name, members in (("a", images()), ("b", dict(reversed(images().items())))):
        archive.pack(write_folder(tmp_path / name, members), tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert [face[:3] for face in archive.read(tmp_path / "a.zip")] == FACES_OF_NAMES
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.namelist() == sorted(NAMES)
        assert {(m.date_time[0], m.compress_type) for m in packed.infolist()} == {(1980, zipfile.ZIP_STORED)}
        assert {n: packed.read(n) for n in NAMES} == images()


@pytest.mark.parametrize("link", ["train/angry/Training_99.jpg", "train/more", "test"])
def test_pack_refuses_links(tmp_path, link):
    folder = write_folder(tmp_path / "x", images())
    if link == "test":
        os.rename(folder / link, folder / "elsewhere")
    os.symlink(folder / "elsewhere" if link == "test" else tmp_path, folder / link)
    with pytest.raises(PipelineError, match=f"{link} is a link or a device; accepted: image files"):
        archive.pack(folder, tmp_path / "x.zip")


def test_pack_refuses_a_folder_of_another_layout_and_large_files(tmp_path):
    with pytest.raises(PipelineError, match="has no folder test; accepted: train/"):
        archive.pack(write_folder(tmp_path / "x", images(NAMES[:2])), tmp_path / "x.zip")
    folder = write_folder(tmp_path / "y", images() | {"train/movie": bytes(containers.MAX_IMAGE + 1)})
    with pytest.raises(PipelineError, match="movie is too large"):
        archive.pack(folder, tmp_path / "x.zip")
