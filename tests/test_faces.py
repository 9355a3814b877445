import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from pipeline.core.constants import EMOTIONS
from pipeline.download import synthetic

COUNTS = {emotion: [4, 2, 1] for emotion in EMOTIONS}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    target = tmp_path_factory.mktemp("faces") / "faces.zip"
    synthetic.draw(target, COUNTS, seed=1)
    return target


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_rows_run_on_from_train_to_val_to_test_with_emotions_mixed(drawn):
    names = list(members(drawn))
    assert [int(name.removesuffix(".jpg").split("_")[1]) for name in names] == list(range(len(names)))
    usages = [name.split("/")[2].split("_")[0] for name in names]
    assert usages == ["Training"] * 28 + ["PublicTest"] * 14 + ["PrivateTest"] * 7
    emotions = [name.split("/")[1] for name in names[:28]]
    assert emotions != sorted(emotions)


def test_images_are_grey_and_48_pixels_square_and_no_two_are_equal(drawn):
    images = [Image.open(io.BytesIO(encoded)) for encoded in members(drawn).values()]
    assert {(i.format, i.mode, i.size) for i in images} == {("JPEG", "L", (48, 48))}
    assert len({i.tobytes() for i in images}) == len(images)


def test_same_seed_gives_the_same_bytes_and_another_seed_other_faces(drawn, tmp_path):
    synthetic.draw(tmp_path / "same.zip", COUNTS, seed=1)
    synthetic.draw(tmp_path / "other.zip", COUNTS, seed=2)
    assert (tmp_path / "same.zip").read_bytes() == drawn.read_bytes()
    with zipfile.ZipFile(drawn) as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}  # not the time of writing
    assert not set(members(tmp_path / "other.zip").values()) & set(members(drawn).values())


def test_an_emotion_may_be_left_out(tmp_path):
    synthetic.draw(tmp_path / "two.zip", {"sad": [3, 1, 0], "happy": [0, 2, 1]}, seed=1)
    assert sorted(name.split("_")[0] for name in members(tmp_path / "two.zip")) == [
        *["test/happy/PrivateTest", "test/happy/PublicTest", "test/happy/PublicTest"],
        *["test/sad/PublicTest", *["train/sad/Training"] * 3],
    ]


def linear_accuracy(n=1400, trained_on=1050):
    """Return the accuracy of ridge regression from pixels to emotions on faces it has not seen."""
    emotions = np.arange(n) % len(EMOTIONS)
    pixels = synthetic.render(emotions, np.random.default_rng(1)).reshape(n, -1) / 255
    pixels -= pixels[:trained_on].mean(0)
    train, test = pixels[:trained_on], pixels[trained_on:]
    weights = np.linalg.solve(train @ train.T + 100 * np.eye(trained_on), np.eye(len(EMOTIONS))[emotions[:trained_on]])
    return ((test @ train.T @ weights).argmax(1) == emotions[trained_on:]).mean()


def test_the_emotion_is_in_the_picture(monkeypatch):
    for pose in ("turn", "yaw", "nod", "right", "down"):
        monkeypatch.setitem(synthetic.TRAITS, pose, (0.0, 0.0))
    monkeypatch.setitem(synthetic.TRAITS, "size", (1.1, 1.1))
    assert linear_accuracy() > 0.8


def test_raw_pixels_alone_do_not_give_it_away():
    assert 1 / len(EMOTIONS) < linear_accuracy() < 0.45
