"""Zips of any number of members: what zipfile reads and writes, and how little memory it takes."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from pipeline.data import zips

CONTENT = {f"a/{number}.jpg": bytes([number]) * number for number in range(40)}


def packed(content: dict[str, bytes], comment: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, each in content.items():
            archive.writestr(name, each)
    return file.getvalue()


def unpacked(whole: bytes) -> dict[str, bytes]:
    reader = zips.Reader(io.BytesIO(whole), 2**24)
    return {member.filename: reader.open(number).read() for number, member in enumerate(reader)}


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zips.written(path) as archive:
        for name, each in content.items():
            archive.add(zipfile.ZipInfo(name), each)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 50])
@pytest.mark.parametrize("comment", [b"", b"of a zip", bytes(2**16 - 1)])
def test_members_are_those_that_zipfile_wrote(method, before, comment):
    assert unpacked(before + packed(CONTENT, comment, method)) == CONTENT


def test_members_are_read_in_any_order():
    reader = zips.Reader(io.BytesIO(packed(CONTENT)), 2**24)
    opened = [reader.open(number) for number in reversed(range(len(reader)))]
    assert {file.name: file.read() for file in opened} == CONTENT


def test_a_record_as_in_zipfile_comes_with_its_attributes():
    member = zipfile.ZipInfo("b", (2001, 2, 3, 4, 5, 6))
    member.external_attr, member.comment, member.extra = 0o644 << 16, b"why", struct.pack("<2HL", 0xCAFE, 4, 1)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr(member, b"22")
    _, found = zips.Reader(file, 2**24)
    for name in ("filename", "date_time", "external_attr", "comment", "extra", "CRC", "file_size", "header_offset"):
        assert getattr(found, name) == getattr(member, name)


def test_zipfile_reads_what_was_written(tmp_path):
    path = written(tmp_path / "x", CONTENT)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == CONTENT
    assert unpacked(path.read_bytes()) == CONTENT
    assert path.read_bytes() == written(tmp_path / "y", CONTENT).read_bytes()
    assert unpacked(written(tmp_path / "x", {}).read_bytes()) == {}


def test_more_members_than_a_zip_without_zip64_can_count(tmp_path):
    content = {str(number): b"" for number in range(2**16 + 5)}
    whole = written(tmp_path / "x", content).read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.namelist() == list(content)
    for source in (whole, packed(content)):
        assert [member.filename for member in zips.Reader(io.BytesIO(source), 2**24)] == list(content)


def test_a_writer_left_by_an_error_leaves_no_zip(tmp_path):
    def fail() -> None:
        with zips.written(tmp_path / "x") as archive:
            archive.add(zipfile.ZipInfo("a"), b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(zipfile.BadZipFile):
        unpacked((tmp_path / "x").read_bytes())
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_memory_is_that_of_a_few_members(tmp_path):
    def peak(members: int) -> int:
        path = tmp_path / str(members)
        tracemalloc.start()
        written(path, {})  # what is made once
        tracemalloc.reset_peak()
        with zips.written(path) as archive:
            for number in range(members):
                archive.add(zipfile.ZipInfo(f"{number:09}"), b"content")
        with path.open("rb") as file:
            reader = zips.Reader(file, 2**24)
            for number, _ in enumerate(reader):
                reader.open(number).read()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    few, many = peak(2500), peak(8000)  # both fill the cache
    assert many < few + 500_000  # zipfile takes 600 bytes a member


@pytest.mark.parametrize("cut", [1, 30, 80, 2000, 10**6])
def test_a_zip_cut_short_is_damaged(cut):
    with pytest.raises(zipfile.BadZipFile):
        unpacked(packed(CONTENT)[:-cut])


def test_an_index_that_is_none_is_damaged():
    whole = packed(CONTENT)
    for place in (whole.index(b"PK\1\2"), whole.rindex(b"PK\1\2")):
        with pytest.raises(zipfile.BadZipFile):
            unpacked(whole[:place] + b"JK" + whole[place + 2 :])
    longer = bytearray(whole)
    longer[longer.rindex(b"PK\1\2") + 28] += 1  # of the last record: its name
    with pytest.raises(zipfile.BadZipFile):
        unpacked(bytes(longer))


def test_an_end_of_zip64_inside_of_a_record_is_not_believed():
    plain = packed({"a": b"1", "b": b"2"})
    start, length = plain.index(b"PK\1\2"), len(plain) - 22 - plain.index(b"PK\1\2")
    member = zipfile.ZipInfo("c")
    end64 = (b"PK\6\6", 44, 45, 45, 0, 0, 9, 9, length, start)
    member.comment = struct.pack("<4sQ2H2L4Q4sLQL", *end64, b"PK\6\7", 0, 0, 1)
    file = io.BytesIO(plain)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, b"3")
        archive.writestr("d", b"4")
    assert unpacked(file.getvalue()) == {"a": b"1", "b": b"2", "c": b"3", "d": b"4"}


def test_an_end_that_holds_the_mark_of_an_end_is_whole(tmp_path):
    """The index begins where its place reads as the mark."""
    place = int.from_bytes(b"PK\5\6", "little")
    plain = packed({"a": b"1"})
    start = plain.index(b"PK\1\2")
    with (tmp_path / "x").open("wb+") as file:
        file.write(plain[:start])
        file.seek(place)  # a hole
        file.write(plain[start:-6] + place.to_bytes(4, "little") + plain[-2:])
        reader = zips.Reader(file, 2**24)
        assert {m.filename: reader.open(number).read() for number, m in enumerate(reader)} == {"a": b"1"}


def test_a_part_of_a_zip_in_several_files_is_refused(tmp_path):
    whole = bytearray(written(tmp_path / "x", CONTENT).read_bytes())
    for place in (4, 16):  # its own number, and how many there are
        part = whole.copy()
        part[len(part) - 42 + place] = 3
        with pytest.raises(zipfile.BadZipFile, match="several files"):
            unpacked(bytes(part))


def test_members_that_overlap_are_refused():
    """As in a bomb: many records, one content."""
    plain = packed({"a": bytes(5000)}, method=zipfile.ZIP_STORED)
    start, end = plain.index(b"PK\1\2"), len(plain) - 22
    index = plain[start:end] * 3
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, len(index), start, 0)
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        unpacked(plain[:start] + index + ending)


@pytest.mark.parametrize("far", [2**31 + 5, 2**32 - 1, 2**33])
def test_a_member_beyond_four_gigabytes(tmp_path, far):
    with (tmp_path / "x").open("wb+") as file, TemporaryFile() as index:
        writer = zips.Writer(file, index)
        writer.add(zipfile.ZipInfo("a"), b"1")
        file.seek(far)
        writer.add(zipfile.ZipInfo("b"), b"2")
        writer.close()
        reader = zips.Reader(file, 2**24)
        assert {m.filename: reader.open(number).read() for number, m in enumerate(reader)} == {"a": b"1", "b": b"2"}
        with zipfile.ZipFile(file) as archive:
            assert archive.read("b") == b"2"
