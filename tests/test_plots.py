import struct
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from pipeline.plots.canvas import DPI
from pipeline.plots.dataset import balance, samples
from pipeline.plots.explanations import explanations
from pipeline.plots.inspection import CARD, inspection
from pipeline.plots.learning import curves
from pipeline.plots.scores import calibration, confusion, emotions
from pipeline.plots.search import search

SEVEN = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
TWO = ["happy", "sad"]


def face() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)


def history(epochs: int) -> list[dict]:
    keys = "loss", "accuracy", "val_loss", "val_accuracy"
    return [{"epoch": e, **dict.fromkeys(keys, 1 / e)} for e in range(1, epochs + 1)]


def inspected(classes: list[str], wrong: bool = False) -> dict:
    probabilities = dict.fromkeys(classes, 0.0) | {classes[0]: 1.0}
    truth = classes[-1] if wrong else classes[0]
    return {
        "pixels": face(),
        "truth": truth,
        "prediction": classes[0],
        "confidence": 1.0,
        "probabilities": probabilities,
    }


def scores(classes: list[str]) -> dict[str, dict]:
    row = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 0}
    return {name: row for name in classes}


def counts(classes: list[str]) -> dict[str, dict[str, int]]:
    return {name: {"train": 7215, "val": 0, "test": 1} for name in classes}


BINS = [
    {"confidence": 0.0, "accuracy": 0.0, "count": 0},
    {"confidence": 0.8, "accuracy": 0.7, "count": 90},
    {"confidence": 1.0, "accuracy": 1.0, "count": 5000},
]
TRIALS = [
    {"trial": 1, "state": "finished", "val_accuracy": 0.5},
    {"trial": 2, "state": "failed", "val_accuracy": None},
    {"trial": 3, "state": "stopped", "val_accuracy": 0.2},
    {"trial": 5, "state": "finished", "val_accuracy": 0.4},
    {"trial": 6, "state": "running", "val_accuracy": 0.45},
    {"trial": 7, "state": "running", "val_accuracy": None},
]


def explained(prediction: str, truth: str | None) -> dict:
    maps = {name: np.tile(np.linspace(0, 1, 48), (48, 1)) for name in {prediction, truth} - {None}}
    return {"pixels": face(), "truth": truth, "prediction": prediction, "confidence": 0.61, "maps": maps}


PICTURES = {
    "samples": partial(samples, faces={e: np.stack([face()] * 2) for e in SEVEN}, data="faces"),
    "samples, one face": partial(samples, faces={"sad": face()[None], "fear": face()[None]}, data="faces"),
    "balance": partial(balance, counts=counts(SEVEN), data="faces"),
    "balance, two classes": partial(balance, counts=counts(TWO), data="faces"),
    "curves": partial(curves, history=history(60), data="faces", best_epoch=7),
    "curves, one epoch": partial(curves, history=history(1), data="faces", best_epoch=None),
    "search": partial(search, trials=TRIALS, data="faces"),
    "search, one trial": partial(search, trials=TRIALS[:1], data="faces"),
    "confusion": partial(confusion, matrix=np.eye(7, dtype=int), classes=SEVEN, title="test"),
    "confusion, none true": partial(
        confusion, matrix=np.array([[0, 0], [0, 0]]), classes=TWO, title="A title as long as a careful title is"
    ),
    "emotions, none predicted": partial(emotions, per_class=scores(SEVEN), title="test"),
    "emotions, two classes": partial(emotions, per_class=scores(TWO), title="test"),
    "calibration": partial(calibration, bins=BINS, title="test"),
    "calibration, one bin": partial(calibration, bins=BINS[-1:], title="test"),
    "inspection": partial(inspection, faces=[inspected(SEVEN), inspected(SEVEN, wrong=True)], data="faces"),
    "inspection, no mistakes": partial(inspection, faces=[], data="faces", title="Mistakes"),
    "inspection, one face": partial(inspection, faces=[inspected(TWO)], data="faces"),
    "explanations": partial(explanations, faces=[explained("sad", "fear")] * 6, title="test"),
    "explanations, truth unknown": partial(explanations, faces=[explained("sad", None)], title="Faces"),
    "explanations, none": partial(explanations, faces=[], title="test: what spoke for the most confident mistakes"),
}


def size(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", head[16:24])


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_picture_is_a_png_of_a_sensible_size(draw, tmp_path):
    draw(tmp_path / "picture.png")
    width, height = size(tmp_path / "picture.png")
    assert 500 <= width <= 1400
    assert 60 <= height <= 1300


@pytest.mark.parametrize("name", ["samples, one face", "curves, one epoch", "confusion, none true", "inspection"])
def test_picture_is_the_same_bytes_twice(name, tmp_path):
    for file in "first", "second":
        PICTURES[name](tmp_path / file)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_settings_of_the_user_neither_change_nor_matter(tmp_path):
    draw = PICTURES["emotions, two classes"]
    draw(tmp_path / "plain")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "text.color": "white"}):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / "styled")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "styled").read_bytes()


def test_thirty_faces_take_ten_rows_of_three(tmp_path):
    inspection(tmp_path / "one.png", [inspected(TWO)] * 3, "faces")
    inspection(tmp_path / "ten.png", [inspected(TWO, wrong=True)] * 30, "faces")
    one, ten = size(tmp_path / "one.png"), size(tmp_path / "ten.png")
    assert one[0] == ten[0]
    assert ten[1] - one[1] == pytest.approx(9 * CARD[1] * DPI, abs=2)
