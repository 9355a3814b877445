"""Videos: their own time stamps, limits on frames, people that keep their numbers, and a summary of their emotions."""

import csv

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import PipelineError
from pipeline.faces import camera, frames
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Box
from pipeline.predict import offline, output
from tests import scenes

BACKGROUND, SIDE = 150, 60


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return scenes.grey_classifier(tmp_path_factory.mktemp("model"))


def packets(path, pictures: list[np.ndarray], stamps: list[int]) -> None:
    """Write JPEG pictures of any sizes into a video, each at its time stamp in hundredths of a second."""
    frames.quiet()
    kind = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    size = pictures[0].shape[1::-1]
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 100, size, kind)
    assert video.isOpened()
    for picture, stamp in zip(pictures, stamps, strict=True):
        video.set(cv2.VIDEOWRITER_PROP_PTS, stamp)
        video.write(cv2.imencode(".jpg", picture)[1].reshape(1, -1))
    video.release()


def dark_and_light(dark: tuple[int, int] | None, light: tuple[int, int] | None) -> np.ndarray:
    """Return a frame with a dark square and a light one, which the model takes for angry and for happy."""
    frame = np.full((240, 320, 3), BACKGROUND, np.uint8)
    noise = np.random.default_rng(0).integers(0, 2, (6, 6)).repeat(10, 0).repeat(10, 1)[:, :, None]
    for corner, grey in ((dark, 10), (light, 200)):
        if corner:
            frame[corner[1] : corner[1] + SIDE, corner[0] : corner[0] + SIDE] = grey + 40 * noise
    return frame


def squares(frame: np.ndarray) -> list[Box]:
    """Find the squares of `dark_and_light`."""
    found = []
    for differs in (frame[:, :, 0] < BACKGROUND - 40, frame[:, :, 0] > BACKGROUND + 40):
        if differs.any():
            rows, columns = differs.nonzero()
            found.append(Box(int(columns.min()), int(rows.min()), SIDE))
    return found


def film(path, frames: list[np.ndarray]) -> None:
    video = output.Video(path, 25)
    for frame in frames:
        video.write(frame)
    video.finish()


def table(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_frame_has_its_own_time_stamp(tmp_path):
    stamps = [0, 4, 8, 30, 90, 100]
    packets(tmp_path / "variable.mkv", [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(6)], stamps)
    read = list(frames.of_file(tmp_path / "variable.mkv"))
    assert [frame.number for frame in read] == list(range(6))
    assert [frame.seconds for frame in read] == pytest.approx([stamp / 100 for stamp in stamps], abs=0.002)
    half = list(frames.of_file(tmp_path / "variable.mkv", every=2))
    assert [(frame.number, round(frame.seconds, 2)) for frame in half] == [(0, 0), (2, 0.08), (4, 0.9)]
    assert [round(frame.pixels.mean()) for frame in half] == [0, 80, 160]


def test_a_frame_too_large_is_refused(tmp_path):
    packets(tmp_path / "wide.mkv", [np.zeros((16, 60_032, 3), np.uint8)], [0])
    with pytest.raises(PipelineError, match=r"wide\.mkv has 60032 x 16 pixels; accepted: at most 100,000,000 in all"):
        list(frames.of_file(tmp_path / "wide.mkv"))


def test_frames_of_another_size_in_the_middle_are_scaled_to_the_first(tmp_path):
    sizes = [(48, 64), (48, 64), (960, 1280), (48, 64)]
    packets(tmp_path / "change.mkv", [np.full((*size, 3), 90, np.uint8) for size in sizes], [0, 1, 2, 3])
    assert [frame.pixels.shape for frame in frames.of_file(tmp_path / "change.mkv")] == 4 * [(48, 64, 3)]


KINDS = {"wmv": "WMV2", "mpg": "mpg1", "flv": "FLV1", "m2ts": "mp4v", "3gp": "mp4v", "asf": "WMV1", "vob": "mpg2"}


@pytest.mark.parametrize("suffix", KINDS)
def test_videos_of_other_kinds_are_read(tmp_path, suffix):
    frames.quiet()
    path = tmp_path / f"film.{suffix}"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*KINDS[suffix]), 25, (64, 48))
    for _ in range(3):
        video.write(np.full((48, 64, 3), 90, np.uint8))
    video.release()
    assert [frame.number for frame in frames.of_file(path)] == [0, 1, 2]


def test_a_quick_search_suffices_until_a_face_is_missed_or_the_eighth_frame():
    calls = []
    full = lambda frame: calls.append("full") or [Box(0, 0, 50)] * frame  # noqa: E731
    quick = lambda frame: calls.append("quick") or [Box(0, 0, 50)] * min(1, frame)  # noqa: E731
    detect = camera.search(full, quick)
    assert [len(detect(faces)) for faces in (1, 1, 2, 0, 0, 0, 0, 0, 2)] == [1, 1, 1, 0, 0, 0, 0, 0, 2]
    assert calls == ["full", "quick", "quick", "quick", "full", "quick", "quick", "quick", "quick", "full"]


def test_people_keep_their_numbers_and_are_summed_up(classifier, tmp_path, capsys):
    """A dark face for two seconds; a light one comes after one, with a gap, and moves."""
    pictures = [
        dark_and_light((20 + i, 40), (240, 100 + i) if i in range(25, 31) or i >= 35 else None) for i in range(50)
    ]
    film(tmp_path / "two.mp4", pictures)
    assert offline.predict([str(tmp_path / "two.mp4")], classifier, squares, squares, tmp_path / "out") == 0
    rows = table(tmp_path / "out/faces.csv")
    assert list(rows[0])[:5] == ["file", "frame", "seconds", "person", "face"]
    assert [float(row["seconds"]) for row in rows[:3]] == [0, 0.04, 0.08]
    assert {row["person"]: row["prediction"] for row in rows} == {"1": "angry", "2": "happy"}
    seen = {person: [int(row["frame"]) for row in rows if row["person"] == person] for person in "12"}
    assert seen == {"1": list(range(50)), "2": [*range(25, 31), *range(35, 50)]}
    people = {row["person"]: row for row in table(tmp_path / "out/people.csv")}
    assert [(people[n]["emotion"], people[n]["seconds"], people[n]["share"]) for n in "12"] == [
        *(("angry", "2.0", "1.0"), ("happy", "0.84", "1.0"))
    ]
    first = [float(row["angry"]) for row in rows if row["person"] == "1"]
    assert float(people["1"]["confidence"]) == pytest.approx(np.mean(first), abs=0.001)
    assert "| 2      | happy   | 0.8     | 100%  |" in capsys.readouterr().out
    drawn = np.asarray(Image.open(tmp_path / "out/two.mp4.emotions.png").convert("RGB"))
    assert ((drawn[:, :, 2] > drawn[:, :, 0] + 60).sum(0) > 0).sum() > 300  # blue: the emotions of both


def test_each_third_frame_is_predicted_and_counts_for_three(classifier, tmp_path):
    film(tmp_path / "=1.mp4", [dark_and_light((20 + i, 40), None) for i in range(30)])
    offline.predict([str(tmp_path / "=1.mp4")], classifier, squares, squares, tmp_path / "out", every=3)
    rows = table(tmp_path / "out/faces.csv")
    assert [(row["frame"], row["person"]) for row in rows] == [(str(3 * i), "1") for i in range(10)]
    (person,) = table(tmp_path / "out/people.csv")
    assert float(person["seconds"]) == pytest.approx(1.2)
    assert person["file"] == "'=1.mp4"  # no formula
    assert frames.rate(tmp_path / "out/=1.mp4.mp4") == pytest.approx(25 / 3, abs=0.01)


def test_a_video_without_faces_has_lines_and_a_picture_but_no_people(classifier, tmp_path):
    film(tmp_path / "$x^^$.mp4", [dark_and_light(None, None)] * 3)
    offline.predict([str(tmp_path / "$x^^$.mp4")], classifier, squares, squares, tmp_path / "out")
    assert [row["prediction"] for row in table(tmp_path / "out/faces.csv")] == 3 * ["no face"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("faces.csv", "$x^^$.mp4.mp4", "$x^^$.mp4.emotions.png")
    }
