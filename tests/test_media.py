"""Files are found, and pictures read; an error names an unreadable file."""

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import PipelineError
from pipeline.faces import frames, media
from tests.scenes import scene


def test_pictures_of_every_kind_become_upright_frames_of_eight_bits(tmp_path):
    grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
    colours = np.stack([grey, grey[:, ::-1], grey], axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(colours).save(tmp_path / "colours.webp", lossless=True)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    Image.fromarray(colours).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(colours).save(tmp_path / "colours.avif", quality=100)
    Image.fromarray(colours).save(tmp_path / "colours.jfif", format="JPEG")
    later = Image.fromarray(np.zeros_like(colours))
    Image.fromarray(colours).save(tmp_path / "animated.webp", lossless=True, append_images=[later], save_all=True)
    transparent = Image.fromarray(np.dstack([colours, np.zeros_like(grey)]))
    transparent.save(tmp_path / "transparent.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    Image.fromarray(colours).save(tmp_path / "turned.jpg", exif=exif)
    read = {name: media.read(path) for name, path in media.files([str(tmp_path)], tmp_path / "out", [])}
    assert all(frame.dtype == np.uint8 for frame in read.values())
    np.testing.assert_array_equal(read["grey.png"][:, :, 0], grey)
    np.testing.assert_array_equal(read["colours.webp"], colours[:, :, ::-1])
    np.testing.assert_array_equal(read["animated.webp"], colours[:, :, ::-1])  # its first frame
    np.testing.assert_allclose(read["colours.avif"], colours[:, :, ::-1], atol=20)
    assert read["colours.jfif"].shape == (32, 64, 3)
    np.testing.assert_allclose(read["sixteen.png"][:, :, 1], grey, atol=3)
    assert (read["transparent.png"] == 255).all()
    assert read["turned.jpg"].shape == (64, 32, 3)
    assert read["palette.gif"].shape == (32, 64, 3)


@pytest.mark.parametrize("name", ["broken.png", "broken.mp4", "missing.jpg", "missing.mp4"])
def test_an_error_names_the_unreadable_file(tmp_path, name):
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(PipelineError, match=name):
        list(frames.of_file(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "pixels", "kept", "message"),
    [
        ("half.jpg", scene([(9, 9)]), 0.5, "cannot be read"),
        ("levels.tif", np.ones((20, 30), np.float32), 1, "cannot be read: its grey levels are floating-point"),
        ("program.eps", scene([(9, 9)]), 1, "is not a readable picture or video"),  # Pillow would run a program
    ],
)
def test_a_picture_cut_short_or_of_another_kind_is_refused(tmp_path, name, pixels, kept, message):
    Image.fromarray(pixels).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(PipelineError, match=f"{name} {message}"):
        list(frames.of_file(tmp_path / name))


def test_heic_is_read_with_its_package_and_without_it_the_error_says_so(tmp_path):
    (tmp_path / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(PipelineError, match=r"photo\.HEIC is HEIC; accepted: the picture converted to JPEG"):
        media.read(tmp_path / "photo.HEIC")
    pytest.importorskip("pillow_heif", reason="pillow-heif, which no lock has, is not installed").register_heif_opener()
    Image.fromarray(scene([(9, 9)])).save(tmp_path / "photo.heif")
    assert media.read(tmp_path / "photo.heif").shape == (480, 640, 3)


@pytest.mark.parametrize("size", [(12_000, 9_000), (1, 60_001), (99_000_000, 1)])
def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch, size):
    Image.new("1", size).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    accepted = "accepted: at most 100,000,000 in all, and 60,000 along a side"
    with pytest.raises(PipelineError, match=f"{size[0]} x {size[1]} pixels; {accepted}"):
        list(frames.of_file(tmp_path / "huge.png"))


def test_a_folder_yields_its_pictures_in_order_without_those_of_the_output_folder(tmp_path):
    for name in ("b.png", "a/c.jpg", "a/notes.txt", "out/b.png.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [name for name, _ in media.files([str(tmp_path), str(tmp_path / "b.png")], tmp_path / "out", [])]
    assert names == ["a/c.jpg", "b.png", "2-b.png"]


def test_names_are_unique(tmp_path):
    given = ["a/x.jpg", "b/x.jpg", "c/2-x.jpg", "d/x.jpg", "e/2-x.jpg"]
    names = [name for name, _ in media.files(given, tmp_path, [])]
    assert names == ["x.jpg", "2-x.jpg", "2-2-x.jpg", "3-x.jpg", "3-2-x.jpg"]


def test_a_file_in_the_output_folder_is_read_but_the_output_folder_itself_is_refused(tmp_path):
    (tmp_path / "b.png").touch()
    assert [name for name, _ in media.files([str(tmp_path / "b.png")], tmp_path, [])] == ["b.png"]
    assert [name for name, _ in media.files([str(tmp_path)], tmp_path.parent, [])] == ["b.png"]
    with pytest.raises(PipelineError, match="is the output folder; accepted: another folder"):
        list(media.files([str(tmp_path)], tmp_path, []))
