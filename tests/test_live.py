"""A camera: faces are tracked and their predictions smoothed, in a window or a video."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.faces import camera, detection, frames
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Box
from pipeline.predict import live
from tests import scenes
from tests.conftest import SECONDS
from tests.scenes import clip

SHAPE = (480, 640, 3)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return scenes.grey_classifier(tmp_path_factory.mktemp("model"))


def test_a_face_is_tracked_smoothed_and_dropped():
    tracker = camera.FaceTracker()
    first, second = np.eye(7)[0], np.eye(7)[3]
    tracker.update(SHAPE, [Box(0, 0, 100)], first[None])
    (track,) = tracker.update(SHAPE, [Box(4, 2, 100)], second[None])
    np.testing.assert_allclose(track.probabilities, camera.MEMORY * first + (1 - camera.MEMORY) * second)
    assert track.box == Box(2, 1, 100)
    both = tracker.update(SHAPE, [Box(4, 2, 100), Box(300, 300, 120)], np.stack([second, first]))
    assert [t.box.side for t in both] == [120, 100]
    for _ in range(camera.MISSED):
        assert len(tracker.update(SHAPE, [], np.empty((0, 7)))) == 2
    assert tracker.update(SHAPE, [], np.empty((0, 7))) == []


def test_in_frames_of_another_shape_no_face_is_kept(classifier):
    tracker = camera.FaceTracker()
    right = lambda frame: [Box(500, 100, 120)]  # noqa: E731
    camera.annotate(np.zeros(SHAPE, np.uint8), classifier, right, tracker, None)
    assert len(tracker.tracks) == 1
    camera.annotate(np.zeros((640, 480, 3), np.uint8), classifier, lambda frame: [], tracker, None)
    assert tracker.tracks == []


def test_without_a_display_the_frames_become_a_video(classifier, tmp_path, capsys):
    clip(tmp_path / "clip.mp4", 12)
    live.watch(str(tmp_path / "clip.mp4"), classifier, detection.load("haar", camera.LONGEST), tmp_path, headless=True)
    written = [frame.pixels for frame in frames.of_file(tmp_path / "camera.mp4")]
    assert len(written) == 12
    assert written[0].shape[1] > 640  # the bars are beside the picture
    assert frames.rate(tmp_path / "camera.mp4") == 25
    assert "12 frames, " in capsys.readouterr().out


def test_ctrl_c_ends_it_and_keeps_the_video(classifier, tmp_path, capsys):
    clip(tmp_path / "clip.mp4", 9)
    shown = []

    def interrupted(frame):
        shown.append(frame)
        if len(shown) == 4:
            raise KeyboardInterrupt
        return []

    live.watch(str(tmp_path / "clip.mp4"), classifier, interrupted, tmp_path, headless=True)
    assert len(list(frames.of_file(tmp_path / "camera.mp4"))) == 3
    assert "3 frames, " in capsys.readouterr().out


@pytest.mark.parametrize("source", ["77", "99999999999", "²", "rtsp://user:secret@127.0.0.1:1/one"])
def test_a_camera_that_is_not_there_is_one_line_without_a_password(classifier, tmp_path, capfd, source):
    with pytest.raises(PipelineError, match="cannot be opened; accepted: a camera's number") as raised:
        live.watch(source, classifier, detection.load("haar"), tmp_path, headless=True)
    assert "secret" not in str(raised.value)
    assert capfd.readouterr() == ("", "")  # OpenCV and FFmpeg print nothing
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb, a display without a screen, is not installed")
def test_a_window_shows_the_frames_until_it_is_closed():
    pytest.importorskip("tkinter", reason="this Python has no tkinter (Debian's package python3-tk)")
    display = f":{90 + os.getpid() % 900}"
    server = subprocess.Popen(["Xvfb", display, "-screen", "0", "900x600x24"], stderr=subprocess.DEVNULL)
    try:
        script = (
            "import numpy as np, time; from pipeline.predict.window import Window; w = Window('faces')\n"
            "print([w.show(np.full((20, 30, 3), i, np.uint8)) for i in range(3)], w.label.winfo_width())\n"
            "w.root.event_generate('<Escape>', when='now'); w.root.focus_force(); w.close()\n"
            "print(w.show(np.zeros((20, 30, 3), np.uint8)))"
        )
        deadline = time.monotonic() + SECONDS
        while True:
            command = [sys.executable, "-c", script]
            done = subprocess.run(command, env={**os.environ, "DISPLAY": display}, capture_output=True, text=True)
            if done.returncode == 0 or time.monotonic() > deadline:
                break
        assert done.stdout == "[True, True, True] 30\nFalse\n", done.stderr
    finally:
        server.terminate()
