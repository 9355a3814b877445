"""Prediction: pictures and videos in, boxes, lines and annotated files out; honest about what it cannot tell."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import PipelineError
from pipeline.core.schema import EMOTIONS
from pipeline.prediction import detection, drawing, live, media, network, output
from pipeline.prediction.detection import Box
from pipeline.sources import faces
from pipeline.training import saved
from tests.conftest import Project

SIDE = 120


def scene(places: list[tuple[int, int]], seed: int = 3, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Return a grey frame, blue first, with a drawn face of 120 pixels at each of `places` (x, y)."""
    frame = np.full((*size, 3), 150, np.uint8)
    rng = np.random.default_rng(seed)
    for (x, y), face in zip(places, faces.render(np.zeros(len(places), int), rng), strict=True):
        large = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        frame[y : y + SIDE, x : x + SIDE] = large[:, :, None]
    return frame


@pytest.fixture(scope="module")
def answering(tmp_path_factory) -> network.Network:
    """Return a network that answers by the mean grey of a face: the darker, the angrier; the lighter, the happier."""
    net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    kernel, bias = np.zeros((48 * 48, 7), np.float32), np.full(7, -3, np.float32)
    kernel[:, 0], kernel[:, 3], bias[0], bias[3] = -8 / 48**2, 8 / 48**2, 4, -4
    net.set_weights([kernel, bias])
    path = tmp_path_factory.mktemp("network") / "model.h5"
    saved.save(net, path, saved.Facts(list(EMOTIONS), 1.5, 0.7))
    return network.Network(path)


class TestFaces:
    @pytest.mark.parametrize("times", [1, 3])
    def test_faces_are_found_where_they_are_also_in_a_frame_larger_than_the_detector_sees(self, times):
        places = [(40, 60), (300, 40), (460, 300), (100, 330)]
        matched = []
        for seed in (0, 1, 2, 4):
            found = detection.load()(cv2.resize(scene(places, seed), None, fx=times, fy=times))
            real = [Box(times * x, times * y, times * SIDE) for x, y in places]
            matched += [max((live.overlap(box, other) for other in found), default=0) > 0.4 for box in real]
            assert all(max(live.overlap(box, other) for other in real) > 0.4 for box in found)
            assert [box.side for box in found] == sorted((box.side for box in found), reverse=True)
        assert sum(matched) >= 14  # of 16: the cascade is made for photographs

    def test_there_are_none_in_an_empty_frame(self):
        assert detection.load()(np.full((300, 300, 3), 90, np.uint8)) == []

    def test_a_file_that_is_no_detector_is_refused(self, tmp_path):
        (tmp_path / "yunet.onnx").write_bytes(b"no model")
        with pytest.raises(PipelineError, match="holds no YuNet model"):
            detection.load(tmp_path / "yunet.onnx")

    def test_a_face_of_fer2013_as_a_whole_is_its_own_pixels(self):
        pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
        frame = np.repeat(pixels[:, :, None], 3, axis=2)
        np.testing.assert_array_equal(detection.crop(frame, detection.whole(frame)), pixels)

    def test_beyond_the_frame_its_edge_goes_on(self):
        frame = np.full((60, 60, 3), 10, np.uint8)
        frame[:, 40:] = 200
        cut = detection.crop(frame, Box(36, 6, 48))
        assert (cut[:, 4:] == 200).all()
        assert (cut[:, :4] == 10).all()

    def test_an_oblong_frame_as_a_whole_is_not_squeezed(self):
        frame = np.zeros((48, 96, 3), np.uint8)
        frame[20:28, 44:52] = 255  # a square stays one
        cut = detection.crop(frame, detection.whole(frame))
        rows, columns = (cut > 128).any(axis=1).sum(), (cut > 128).any(axis=0).sum()
        assert rows == columns == 4


class TestAnswers:
    def test_probabilities_are_the_networks_scaled_by_its_temperature(self, answering):
        pixels = np.random.default_rng(1).integers(0, 256, (5, 48, 48), dtype=np.uint8)
        raw = answering.model.predict(pixels[..., None] / 255, verbose=0)
        expected = raw ** (1 / 1.5)
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answering.probabilities(pixels), expected, atol=1e-6)

    def test_an_answer_says_why_it_is_not_sure(self, answering):
        rng = np.random.default_rng(2)
        light, even = (rng.integers(low, high, (48, 48), dtype=np.uint8) for low, high in ((200, 256), (97, 158)))
        blurred = np.tile(np.linspace(200, 255, 48).astype(np.uint8), (48, 1))
        sure, small, out_of_focus, close = answering.answers(np.stack([light, light, blurred, even]), [90, 20, 90, 90])
        assert (sure.emotion, sure.doubt) == ("happy", "")
        assert [a.doubt for a in (small, out_of_focus, close)] == ["small", "blurred", "close"]
        assert close.text.startswith("unsure: ")

    def test_a_file_of_another_program_is_taken_for_the_seven_emotions_or_refused(self, tmp_path):
        for outputs in (7, 3):
            net = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(outputs)])
            net.save(tmp_path / f"{outputs}.h5")
        assert saved.facts(tmp_path / "7.h5", 7) == saved.Facts(list(EMOTIONS), 1.0, 0.0)
        with pytest.raises(PipelineError, match="does not say which emotions its 3 outputs are"):
            network.Network(tmp_path / "3.h5")


class TestMedia:
    def test_pictures_of_every_kind_become_upright_frames_of_eight_bits(self, tmp_path):
        grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
        colours = np.stack([grey, grey[:, ::-1], grey], axis=2)
        Image.fromarray(grey).save(tmp_path / "grey.png")
        Image.fromarray(colours).save(tmp_path / "colours.webp", lossless=True)
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
        Image.fromarray(colours).convert("P").save(tmp_path / "palette.gif")
        transparent = Image.fromarray(np.dstack([colours, np.zeros_like(grey)]))
        transparent.save(tmp_path / "transparent.png")
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned by 90 degrees
        Image.fromarray(colours).save(tmp_path / "turned.jpg", exif=exif)
        read = {name: next(media.frames(path)).pixels for name, path in media.files([str(tmp_path)], tmp_path / "out")}
        assert all(frame.dtype == np.uint8 for frame in read.values())
        np.testing.assert_array_equal(read["grey.png"][:, :, 0], grey)
        np.testing.assert_array_equal(read["colours.webp"], colours[:, :, ::-1])
        np.testing.assert_allclose(read["sixteen.png"][:, :, 1], grey, atol=3)
        assert (read["transparent.png"] == 255).all()
        assert read["turned.jpg"].shape == (64, 32, 3)
        assert read["palette.gif"].shape == (32, 64, 3)

    @pytest.mark.parametrize("name", ["broken.png", "broken.mp4", "missing.jpg", "missing.mp4"])
    def test_what_cannot_be_read_is_an_error_that_names_it(self, tmp_path, name):
        if name.startswith("broken"):
            (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        with pytest.raises(PipelineError, match=name):
            list(media.frames(tmp_path / name))

    def test_a_picture_that_ends_early_is_refused(self, tmp_path):
        content = io.BytesIO()
        Image.fromarray(scene([(9, 9)])).save(content, "JPEG")
        (tmp_path / "half.jpg").write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
        with pytest.raises(PipelineError, match=r"half\.jpg cannot be read"):
            list(media.frames(tmp_path / "half.jpg"))

    def test_a_picture_too_large_is_refused_before_it_is_decoded(self, tmp_path, monkeypatch):
        Image.new("1", (12_000, 9_000)).save(tmp_path / "huge.png")
        monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
        with pytest.raises(PipelineError, match="12000 x 9000 pixels; accepted: at most 100,000,000"):
            list(media.frames(tmp_path / "huge.png"))

    def test_a_folder_gives_its_pictures_in_order_but_not_those_written_into_it(self, tmp_path):
        for name in ("b.png", "a/c.jpg", "a/notes.txt", "out/b.png.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        names = [name for name, _ in media.files([str(tmp_path), str(tmp_path / "b.png")], tmp_path / "out")]
        assert names == ["a/c.jpg", "b.png", "2-b.png"]


class TestLive:
    def test_a_face_is_followed_smoothed_and_forgotten(self):
        tracker = live.Tracker()
        first, second = np.eye(7)[0], np.eye(7)[3]
        tracker.update([Box(0, 0, 100)], first[None])
        (track,) = tracker.update([Box(4, 2, 100)], second[None])
        np.testing.assert_allclose(track.probabilities, live.MEMORY * first + (1 - live.MEMORY) * second)
        assert track.box == Box(2, 1, 100)
        both = tracker.update([Box(4, 2, 100), Box(300, 300, 120)], np.stack([second, first]))
        assert [t.box.side for t in both] == [120, 100]
        for _ in range(live.MISSED):
            assert len(tracker.update([], np.empty((0, 7)))) == 2
        assert tracker.update([], np.empty((0, 7))) == []

    def test_without_a_display_the_frames_become_a_video(self, answering, tmp_path, capsys):
        clip(tmp_path / "clip.mp4", 12)
        live.watch(str(tmp_path / "clip.mp4"), answering, detection.load(longest=live.LONGEST), tmp_path, headless=True)
        written = [frame.pixels for frame in media.frames(tmp_path / "camera.mp4")]
        assert len(written) == 12
        assert written[0].shape[1] > 640  # the bars stand beside the picture
        assert media.rate(tmp_path / "camera.mp4") == 25
        assert "12 frames, " in capsys.readouterr().out

    def test_ctrl_c_ends_it_and_keeps_the_video(self, answering, tmp_path, capsys):
        clip(tmp_path / "clip.mp4", 9)
        shown = []

        def interrupted(frame):
            shown.append(frame)
            if len(shown) == 4:
                raise KeyboardInterrupt
            return []

        live.watch(str(tmp_path / "clip.mp4"), answering, interrupted, tmp_path, headless=True)
        assert len(list(media.frames(tmp_path / "camera.mp4"))) == 3
        assert "3 frames, " in capsys.readouterr().out

    def test_a_camera_that_is_not_there_is_an_error(self, answering, tmp_path):
        with pytest.raises(PipelineError, match="77 cannot be opened"):
            live.watch("77", answering, detection.load(), tmp_path, headless=True)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb, a display without a screen, is not installed")
    def test_a_window_shows_the_frames_until_it_is_closed(self):
        pytest.importorskip("tkinter", reason="this Python has no tkinter (Debian's package python3-tk)")
        display = f":{90 + os.getpid() % 900}"
        server = subprocess.Popen(["Xvfb", display, "-screen", "0", "900x600x24"], stderr=subprocess.DEVNULL)
        try:
            script = (
                "import numpy as np, time; from pipeline.prediction.window import Window; w = Window('faces')\n"
                "print([w.show(np.full((20, 30, 3), i, np.uint8)) for i in range(3)], w.label.winfo_width())\n"
                "w.root.event_generate('<Escape>', when='now'); w.root.focus_force(); w.close()\n"
                "print(w.show(np.zeros((20, 30, 3), np.uint8)))"
            )
            deadline = time.monotonic() + 20
            while True:
                command = [sys.executable, "-c", script]
                done = subprocess.run(command, env={**os.environ, "DISPLAY": display}, capture_output=True, text=True)
                if done.returncode == 0 or time.monotonic() > deadline:
                    break
            assert done.stdout == "[True, True, True] 30\nFalse\n", done.stderr
        finally:
            server.terminate()


def clip(path, frames: int) -> None:
    """Write a video in which a drawn face moves."""
    video = output.Video(path, 25)
    for i in range(frames):
        video.write(scene([(200 + 2 * i, 150)]))
    video.finish()


def test_a_drawing_holds_the_frame_and_a_card_for_each_face(answering):
    frame = scene([(40, 60), (300, 40)])
    found = [network.Face(box, answering.answers(detection.crop(frame, box)[None], [box.side])[0])
             for box in (Box(40, 60, SIDE), Box(300, 40, SIDE))]  # fmt: skip
    plain = drawing.annotate(frame, [], list(EMOTIONS))
    drawn = drawing.annotate(frame, found, list(EMOTIONS))
    np.testing.assert_array_equal(drawn[200:, :640][: 480 - 200], frame[200:])  # below the boxes nothing is changed
    assert (drawn[60, 40:160] != frame[60, 40:160]).any()
    assert drawn.shape[0] == plain.shape[0] == 480
    many = drawing.annotate(frame, found * 6, list(EMOTIONS))
    assert many.shape[1] > drawn.shape[1]
    assert drawing.annotate(frame, found * 6, list(EMOTIONS), columns=1).shape == drawn.shape


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "faces.png"), scene([(40, 60), (300, 40)]))
    cv2.imwrite(str(folder / "nobody.jpg"), np.full((200, 200, 3), 90, np.uint8))
    (folder / "broken.jpg").write_text("no picture")
    clip(folder / "clip.mp4", 5)
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
class TestCommand:
    def test_all_that_can_be_read_is_done_and_the_exit_code_tells_of_the_rest(
        self, finished: Project, folder, tmp_path
    ):
        model = str(finished.path("models/model.h5"))
        done = finished.stage("predict", str(folder), "--model", model, "--out", str(tmp_path), check=False)
        assert done.returncode == 1
        assert "warning: " in done.stderr
        assert "broken.jpg is no picture or video that can be read" in done.stderr
        assert "Traceback" not in done.stderr
        rows = list(csv.DictReader((tmp_path / "faces.csv").open()))
        assert {row["file"] for row in rows} == {"clip.mp4", "faces.png", "nobody.jpg"}
        assert [int(r["frame"]) for r in rows if r["file"] == "clip.mp4" and r["face"] in ("", "1")] == list(range(5))
        assert [row["answer"] for row in rows if row["file"] == "nobody.jpg"] == [output.NO_FACE]
        for row in rows:
            if row["face"]:
                assert sum(float(row[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
        written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
        assert written == {"faces.csv", "faces.png.png", "nobody.jpg.png", "clip.mp4.mp4"}

    @pytest.mark.parametrize("model", ["run", "models:/faces@champion"])
    def test_each_way_to_name_a_network_gives_what_evaluate_scores(self, finished: Project, tmp_path, model):
        run = json.loads(finished.path("results/run.json").read_text())["mlflow_run_id"]
        pixels = np.random.default_rng(4).integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "face.png")
        arguments = ["--whole", "--lines", "jsonl", "--no-pictures", "--out", str(tmp_path / "out")]
        named = run[:12] if model == "run" else model
        finished.stage("predict", str(tmp_path / "face.png"), "--model", named, *arguments)
        (row,) = [json.loads(line) for line in (tmp_path / "out/faces.jsonl").read_text().splitlines()]
        path = finished.path("models/model.h5")
        net = saved.load(path)
        raw = net.predict(pixels[None, :, :, None] / 255, verbose=0)[0]
        scaled = raw ** (1 / saved.facts(path, 7).temperature)
        np.testing.assert_allclose([row[e] for e in EMOTIONS], scaled / scaled.sum(), atol=2e-4)
        assert (row["x"], row["y"], row["side"]) == (0, 0, 48)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [([], "nothing to look at; accepted: "), (["face.png", "--model", "abcdef12"], "0 runs of ")],
    )
    def test_a_mistake_is_one_line(self, finished: Project, arguments, message):
        done = finished.stage("predict", *arguments, check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_network_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match=r"no\.h5 is missing; accepted: an \.h5 file"):
        network.find(str(tmp_path / "no.h5"))
