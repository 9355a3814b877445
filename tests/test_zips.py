"""Zips of any number of members: what zipfile reads and writes, and how little memory it takes."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from pipeline.sources import zips

CONTENT = {f"a/{number}.jpg": bytes([number]) * number for number in range(40)}


def packed(content: dict[str, bytes], comment: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, each in content.items():
            archive.writestr(name, each)
    return file.getvalue()


def unpacked(whole: bytes) -> dict[str, bytes]:
    reader = zips.Reader(io.BytesIO(whole))
    return {member.filename: reader.open(place).read() for place, member in reader}


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
    reader = zips.Reader(io.BytesIO(packed(CONTENT)))
    opened = [reader.open(place) for place, _ in reader][::-1]
    assert {file.name: file.read() for file in opened} == CONTENT


def test_a_record_as_in_zipfile_comes_with_its_attributes():
    member = zipfile.ZipInfo("b", (2001, 2, 3, 4, 5, 6))
    member.external_attr, member.comment, member.extra = 0o644 << 16, b"why", struct.pack("<2HL", 0xCAFE, 4, 1)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr(member, b"22")
    (_, _), (_, found) = zips.Reader(file)
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
        assert [member.filename for _, member in zips.Reader(io.BytesIO(source))] == list(content)


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


def test_memory_is_that_of_a_single_member(tmp_path):
    def peak(members: int) -> int:
        path = tmp_path / str(members)
        tracemalloc.start()
        written(path, {})  # what is made once
        tracemalloc.reset_peak()
        with zips.written(path) as archive:
            for number in range(members):
                archive.add(zipfile.ZipInfo(f"{number:09}"), b"content")
        with path.open("rb") as file:
            reader = zips.Reader(file)
            for place, _ in reader:
                reader.open(place).read()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    few, many = peak(1000), peak(4000)  # both have more bytes than are read for their end
    assert many < few + 20_000  # zipfile takes 600 bytes a member


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
    member.comment = struct.pack(
        "<4sQ2H2L4Q4sLQL", *(b"PK\6\6", 44, 45, 45, 0, 0, 9, 9, length, start), b"PK\6\7", 0, 0, 1
    )
    file = io.BytesIO(plain)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, b"3")
        archive.writestr("d", b"4")
    assert unpacked(file.getvalue()) == {"a": b"1", "b": b"2", "c": b"3", "d": b"4"}
