"""The command: boxes, bars, and a line for each face; unreadable files are skipped with a warning."""

import csv
import json
import os
import resource
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.faces import detection, drawing, frames, media
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Box
from pipeline.faces.rows import NO_FACE
from pipeline.models import saved
from pipeline.predict import __main__ as predict
from pipeline.predict import offline, output, pictures
from tests import scenes
from tests.conftest import Project
from tests.scenes import SIDE, clip, scene


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return scenes.grey_classifier(tmp_path_factory.mktemp("model"))


def test_a_drawing_holds_the_frame_and_a_card_for_each_face(classifier):
    frame = scene([(40, 60), (300, 40)])
    (faces,) = classifier.faces([frame], [[Box(40, 60, SIDE), Box(300, 40, SIDE)]])
    plain = drawing.annotate(frame, [], list(EMOTIONS))
    drawn = drawing.annotate(frame, faces, list(EMOTIONS))
    np.testing.assert_array_equal(drawn[200:, :640][: 480 - 200], frame[200:])  # below the boxes nothing is changed
    assert (drawn[60, 40:160] != frame[60, 40:160]).any()
    assert drawn.shape[0] == plain.shape[0] == 480
    many = drawing.annotate(frame, faces * 6, list(EMOTIONS))
    assert many.shape[1] > drawn.shape[1]
    assert drawing.annotate(frame, faces * 6, list(EMOTIONS), columns=1).shape == drawn.shape


def test_a_strip_is_enlarged_no_further_than_can_be_held():
    assert drawing.annotate(np.zeros((10, 300, 3), np.uint8), [], list(EMOTIONS), columns=0).shape == (320, 9600, 3)
    drawn = drawing.annotate(np.zeros((1, 1_900, 3), np.uint8), [], list(EMOTIONS), columns=0)
    assert drawn.shape[1] == 19_000
    assert drawing.annotate(np.zeros((1, 60_000, 3), np.uint8), [], list(EMOTIONS), columns=0).shape[1] == 60_000


@pytest.mark.parametrize(
    ("rate", "written"), [(29.97, 29.97), (119.917, 119.92), (236.137, 236.14), (90_000, 600), (0.001, 0.01)]
)
def test_a_video_of_any_rate_is_written(tmp_path, rate, written):
    video = output.Video(tmp_path / "video.mp4", rate)
    for size in (64, 64, 70):  # a frame of another size is not lost
        video.write(np.full((48, size, 3), 90, np.uint8))
    video.finish()
    assert frames.rate(tmp_path / "video.mp4") == written
    assert len(list(frames.of_file(tmp_path / "video.mp4"))) == 3


def test_a_video_without_room_on_disk_is_deleted(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    video = output.Video(tmp_path / "video.mp4", 25)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # a file cannot grow further, as on a full disk
    try:
        for i in range(30):
            video.write(np.random.default_rng(i).integers(0, 256, (200, 200, 3), dtype=np.uint8))
        with pytest.raises(PipelineError, match=r"video\.mp4 cannot be written: 30 of its 30 frames are lost"):
            video.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_written_is_skipped_and_the_rest_is_done(classifier, tmp_path, capsys):
    (tmp_path / "given").mkdir()
    clip(tmp_path / "given/a.mp4", 2)
    frames.quiet()
    strip = cv2.VideoWriter(str(tmp_path / "given/b.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (9000, 48))
    for _ in range(3):
        strip.write(np.full((48, 9000, 3), 90, np.uint8))
    strip.release()
    Image.new("L", (48, 48), 90).save(tmp_path / "given/c.png")
    given, out = [str(tmp_path / "given")], tmp_path / "out"
    assert offline.predict(given, classifier, detection.load("haar"), detection.load("haar"), out) == 1
    assert capsys.readouterr().err.count("b.avi.mp4 cannot be written, with 18186 x 128 pixels") == 1
    assert {path.name for path in out.iterdir()} == {
        *("a.mp4.mp4", "a.mp4.emotions.png", "b.avi.emotions.png", "c.png.png", "faces.csv", "people.csv")
    }
    rows = list(csv.DictReader((out / "faces.csv").open()))
    assert [row["frame"] for row in rows if row["file"] == "b.avi"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *((f"{sign}1.png", f"'{sign}1.png") for sign in "=+-@\t"),
        ("\n=1.png", "\\n=1.png"),
        ("a\r=1.png", "a\\r=1.png"),
        ("a=1.png", "a=1.png"),
    ],
)
def test_no_name_becomes_a_formula_in_a_spreadsheet(classifier, tmp_path, name, cell):
    Image.new("L", (48, 48), 90).save(tmp_path / name)
    detector = detection.load("haar")
    offline.predict([str(tmp_path / name)], classifier, detector, detector, tmp_path / "out", drawn=False)
    head, line = (tmp_path / "out/faces.csv").read_text().splitlines()
    assert (head.split(",")[0], line.split(",")[0]) == ("file", cell)
    assert dict(zip(head.split(","), line.split(","), strict=True))["side"] == "48"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.jpg", ".jpg"),
        ("a.jfif", ".jpg"),
        ("a.png", ".png"),
        ("a.webp", ".webp"),
        ("a.avif", ".avif"),
        ("a.gif", ".png"),
    ],
)
def test_an_annotated_picture_keeps_its_format(tmp_path, name, suffix):
    drawn = scene([(40, 60)])
    Image.fromarray(drawn).save(tmp_path / name)
    pictures.write(tmp_path / "drawn", tmp_path / name, drawn)
    (written,) = tmp_path.glob("drawn*")
    assert written.name == f"drawn{suffix}"
    np.testing.assert_allclose(media.read(written), media.read(tmp_path / name), atol=40 if suffix == ".webp" else 30)


@pytest.mark.parametrize("quality", [30, 95])
def test_an_annotated_jpeg_is_compressed_as_much_as_the_original(tmp_path, quality):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=quality)
    pictures.write(tmp_path / "drawn", tmp_path / "a.jpg", pixels)
    assert (tmp_path / "drawn.jpg").stat().st_size == pytest.approx((tmp_path / "a.jpg").stat().st_size, rel=0.05)


def test_files_that_are_passed_over_are_named_and_pictures_among_them_change_the_exit_code(
    classifier, tmp_path, capsys
):
    Image.new("L", (48, 48), 90).save(tmp_path / "face.png")
    for name in ("notes.txt", ".hidden"):
        (tmp_path / name).touch()
    arguments = [str(tmp_path)], classifier, detection.load("haar"), detection.load("haar"), tmp_path / "out"
    assert offline.predict(*arguments, drawn=False) == 0
    assert capsys.readouterr().err.endswith("warning: 1 other files are not read: notes.txt\n")
    for name in ("z.CR2", "y.psd", "a.txt", "b.txt", "c.txt"):
        (tmp_path / name).touch()
    assert offline.predict(*arguments, drawn=False) == 2
    assert "warning: 6 other files are not read: y.psd, z.CR2, a.txt, b.txt, c.txt, ..." in capsys.readouterr().err


def test_a_folder_without_pictures_and_videos_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PipelineError, match=f"no picture or video in {tmp_path}; accepted: .3g2 .3gp "):
        offline.predict([str(tmp_path)], None, None, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no files and no camera are given; accepted: "),
        ("b.png --camera 0", "files and a camera are given; accepted: "),
        ("--camera 0 --whole", "--whole has no effect with --camera; accepted: "),
        ("--camera 0 --lines csv", "--lines has no effect with --camera; accepted: "),
        ("--camera 0 --every 2", "--every has no effect with --camera; accepted: "),
        ("b.png --every 0", "--every 0; accepted: 1 or more"),
        ("--camera 0 --no-pictures", "--no-pictures has no effect with --camera; accepted: "),
        ("b.png --headless", "--headless has no effect without --camera; accepted: "),
        ("b.png --whole --detector yunet.onnx", "--detector has no effect with --whole; accepted: "),
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments, message):
    with pytest.raises(PipelineError, match=message):
        predict.main.__wrapped__(arguments.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "faces.png"), scene([(40, 60), (300, 40)]))
    cv2.imwrite(str(folder / "nobody.jpg"), np.full((200, 200, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "strip.png"), np.full((1, 3000, 3), 90, np.uint8))
    (folder / "broken.jpg").write_text("no picture")
    clip(folder / "clip.mp4", 5)
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
class TestCommand:
    def test_all_readable_files_are_done_and_the_exit_code_reports_the_others(
        self, finished: Project, folder, tmp_path
    ):
        model = str(finished.path("models/model.h5"))
        arguments = ["--model", model, "--detector", "haar", "--out", str(tmp_path)]
        done = finished.stage("predict", str(folder), *arguments, check=False)
        assert done.returncode == 1
        assert "warning: " in done.stderr
        assert "broken.jpg is not a readable picture or video" in done.stderr
        assert "Traceback" not in done.stderr
        rows = list(csv.DictReader((tmp_path / "faces.csv").open()))
        assert {row["file"] for row in rows} == {"clip.mp4", "faces.png", "nobody.jpg", "strip.png"}
        assert [int(r["frame"]) for r in rows if r["file"] == "clip.mp4" and r["face"] in ("", "1")] == list(range(5))
        assert [row["prediction"] for row in rows if row["file"] in ("nobody.jpg", "strip.png")] == 2 * [NO_FACE]
        for row in rows:
            if row["face"]:
                assert sum(float(row[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
        written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
        assert written == {
            *("faces.csv", "people.csv", "faces.png.png", "nobody.jpg.jpg", "strip.png.png", "clip.mp4.mp4"),
            "clip.mp4.emotions.png",
        }

    @pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take names in UTF-8 alone")
    def test_a_name_that_is_not_text_is_written_as_text(self, finished: Project, tmp_path):
        picture, video = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9.png", b"caf\xe9.mp4"))
        Image.new("L", (48, 48), 90).save(tmp_path / "face.png")
        (tmp_path / "face.png").rename(picture)
        clip(tmp_path / "clip.mp4", 2)
        (tmp_path / "clip.mp4").rename(video)
        for lines, given in (("csv", [picture, video]), ("jsonl", [picture])):
            arguments = [*map(str, given), "--out", str(tmp_path / lines), "--lines", lines, "--detector", "haar"]
            done = finished.stage("predict", "--model", "models/model.h5", *arguments)
            assert {path.name for path in (tmp_path / lines).iterdir()} == {
                f"faces.{lines}",
                *(f"{path.name}{'.mp4' if path == video else '.png'}" for path in given),
                *([] if lines == "jsonl" else ["people.csv", f"{video.name}.emotions.png"]),
            }
        assert "caf\\udce9.png: " in done.stdout
        rows = list(csv.DictReader((tmp_path / "csv/faces.csv").open(encoding="utf-8")))
        assert {row["file"] for row in rows} == {"caf\\udce9.png", "caf\\udce9.mp4"}
        assert json.loads((tmp_path / "jsonl/faces.jsonl").read_text())["file"] == picture.name

    @pytest.mark.parametrize("model", ["run", "models:/synthetic@champion"])
    def test_each_way_to_name_a_model_gives_the_probabilities_that_evaluate_scores(
        self, finished: Project, tmp_path, model
    ):
        run = json.loads(finished.path("results/run.json").read_text())["mlflow_run_id"]
        pixels = np.random.default_rng(4).integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "face.png")
        arguments = ["--whole", "--lines", "jsonl", "--no-pictures", "--out", str(tmp_path / "out")]
        name = run[:12] if model == "run" else model
        finished.stage("predict", str(tmp_path / "face.png"), "--model", name, *arguments)
        (row,) = [json.loads(line) for line in (tmp_path / "out/faces.jsonl").read_text().splitlines()]
        path = finished.path("models/model.h5")
        net = saved.load(path)
        raw = net.predict(pixels[None, :, :, None] / 255, verbose=0)[0]
        scaled = raw ** (1 / saved.info(path, 7).temperature)
        np.testing.assert_allclose([row[e] for e in EMOTIONS], scaled / scaled.sum(), atol=2e-4)
        assert (row["x"], row["y"], row["side"], row["angle"]) == (0, 0, 48, 0)

    def test_files_that_are_named_have_a_line_each_and_none_that_exists_is_a_mistake(self, finished, folder, tmp_path):
        arguments = ["--model", "models/model.h5", "--detector", "haar", "--out", str(tmp_path / "out")]
        pictures = [str(folder / "nobody.jpg"), str(folder / "strip.png")]
        done = finished.stage("predict", *pictures, *arguments)
        assert f"nobody.jpg: {NO_FACE}\nstrip.png: {NO_FACE}\n" in done.stdout
        lines = (tmp_path / "out/faces.csv").read_text()
        done = finished.stage("predict", "nothing.jpg", "nor.png", *arguments, check=False)
        assert done.returncode == 1
        assert done.stderr.endswith("error: nothing.jpg, nor.png: no such file or folder\n")
        assert (tmp_path / "out/faces.csv").read_text() == lines

    def test_a_mistake_is_one_line(self, finished: Project):
        done = finished.stage("predict", "face.png", "--model", "abcdef12", check=False)
        assert done.returncode == 1
        assert "0 runs of " in done.stderr
        assert "Traceback" not in done.stderr
