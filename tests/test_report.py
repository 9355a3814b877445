import copy
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.evaluate import report
from pipeline.plots.page import _shown

EMOTIONS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
FIGURES = [
    "samples",
    "balance",
    "curves",
    "confusion",
    "emotions",
    "calibration",
    "inspection",
    "mistakes",
    "explanations",
]
SPLITS = ["train", "val", "test"]
DIGEST = "5a" * 32
BANNER = "Drawn faces: says nothing about real ones"


def split(accuracy: float, classes: list[str]) -> dict:
    return {
        "images": 3589,
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.015,
        "accuracy_high": accuracy + 0.015,
        "loss": 1.2345,
        "macro_f1": 0.4321,
        "balanced_accuracy": 0.4444,
        "ece": 0.0567,
        "emotions": {e: {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "images": 11} for e in classes},
    }


def content(data: str = "fer2013", classes: list[str] = EMOTIONS) -> dict:
    identity = {"name": data, "digest": DIGEST}
    thrice = dict.fromkeys(SPLITS, 0.5)
    return {
        "metrics": {
            "data": identity,
            "model": {"name": "seed_cnn", "parameters": 167239, "layers": 17, "epoch": 2, "epochs": 2},
            "val": split(0.55, classes),
            "test": split(0.5678, classes),
            "test_clean": split(0.56, classes),
            "kaggle_test": split(0.5543, classes),
            "mirrored": {s: split(0.5912, classes) for s in ("val", "test", "test_clean", "kaggle_test")},
            "calibrated": {"temperature": 1.0728, "test": split(0.5678, classes) | {"ece": 0.0234}},
            "sure": {"threshold": 0.6, "test": {"share": 0.55, "accuracy": 0.81}},
            "inspection": {"images": 7, "right": 3},
        },
        "speed": {
            "latency_ms_median": 3.21,
            "latency_ms_p99": 7.65,
            "scoring_images_per_second": 4312.3,
            "training_minutes": 31.4,
            "training_images_per_second": 912.0,
        },
        "run": {
            "mlflow_run_id": "0123456789abcdef",
            "mlflow_experiment": "fer2013",
            "git_commit": "4f0c8e6b",
            "config": {"data": {"name": data, "classes": classes}, "seed": 42},
            "versions": {"keras": "3.15.0"},
            "hardware": {"processor": "8088", "cores": 2, "memory_gib": 7.8, "platform": "Linux"},
            "seconds": 41.2,
        },
        "history": [
            {"epoch": e, "loss": 1.5, "accuracy": 0.4, "val_loss": 1.4, "val_accuracy": 0.45, "learning_rate": 0.001}
            | {"seconds": 31.2, "images_per_second": 921.3}
            for e in (1.0, 2.0)
        ],
        "audit": {
            "data": identity,
            "images": {s: {e: 100 for e in classes if s == "train" or e != "fear"} for s in SPLITS},
            "duplicates": {
                "within": {s: {"surplus": 1242, "groups": 1103} for s in SPLITS},
                "across": {"val_in_train": 280, "test_in_train": 288, "test_in_val": 44},
            },
            "conflicts": {"groups": 61, "images": 130},
            "blank": dict.fromkeys(SPLITS, 1),
            "altered": {"sharpness": thrice, "grey_levels": thrice, "histogram_flatness": thrice, "signs": []},
        },
    }


@pytest.fixture
def figures(tmp_path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.png" for name in FIGURES}
    for name, path in paths.items():
        path.write_bytes(b"\x89PNG " + name.encode())
    return paths


@pytest.fixture
def page(tmp_path, figures):
    """Return the function that writes a report and gives its text."""

    def written(parts: dict) -> str:
        path = tmp_path / "results" / "report.html"
        report.write(path, figures=figures, **parts)
        return path.read_text(encoding="utf-8")

    return written


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_page_needs_nothing_from_outside(page):
    text = page(content())
    tags = Tags(text).found
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    for _, attributes in tags:
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import", text)


def test_page_shows_every_figure_with_alt_text(page):
    images = [attributes for tag, attributes in Tags(page(content())).found if tag == "img"]
    assert len({image["src"] for image in images}) == len(FIGURES)
    assert all(image["src"].startswith("data:image/png;base64,") and len(image["alt"]) > 20 for image in images)


def test_contents_lead_to_sections(page):
    tags = Tags(page(content())).found
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in tags if tag == "a"} == ids


def test_page_carries_name_digest_and_numbers(page):
    text = page(content())
    for shown in (
        *("fer2013", DIGEST, "56.78%", "55.3% to 58.3%", "3,589", "167,239", "1.2345", "43.21%", "5.67%", "3.21 ms"),
        *("1,242", "288", "8088", "3.15.0", "git checkout 4f0c8e6b\n", "dvc repro", "0123456789abcdef", "3 of 7"),
    ):
        assert shown in text, shown


def test_drawn_faces_carry_a_banner_and_no_comparison(page):
    drawn, real = page(content("faces")), page(content("fer2013"))
    assert BANNER in drawn
    assert BANNER not in real
    assert "52.43%" not in drawn
    assert "3.00 points above" in real
    assert "52.43%" in real
    assert "54.22%" in real


def test_subset_of_emotions_is_not_compared(page):
    text = page(content("fer2013", ["fear", "happy"]))
    assert "52.43%" not in text
    assert "disgust" not in text


def test_hostile_names_are_escaped(page):
    parts = content()
    parts["run"]["config"]["<script>alert(1)</script>"] = {"x": '"><script>alert(2)</script>'}
    parts["audit"]["altered"]["signs"] = ["<script>alert(3)</script>"]
    parts["metrics"]["data"] = {"name": "<script>alert(4)</script>", "digest": DIGEST}
    text = page(parts)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 4


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        ("adam", "adam"),
        ([1, "a"], '[1, "a"]'),
        ("postgresql://me:secret@host/db?password=secret", "postgresql://***@host/db?***"),
        (["https://host/a.zip?token=secret", 1], '["https://host/a.zip?***", 1]'),
    ],
)
def test_settings_show_no_secrets(value, shown):
    assert _shown(value) == shown


def test_commit_that_does_not_give_the_numbers_is_said_to(page):
    parts = content()
    parts["run"]["git_commit"] = "4f0c8e6b-dirty"
    text = page(parts)
    assert "git checkout 4f0c8e6b\n" in text
    assert "differed from this commit" in text
    parts["run"]["git_commit"] = None
    assert "git checkout" not in page(parts).split("<pre>")[1]


@pytest.mark.parametrize("shares", [[0.5243, 0.5422], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.13, 0.69]])
def test_axis_holds_what_it_shows(shares):
    ticks = report._ticks(shares)
    assert ticks[0] <= min(shares) * 100
    assert ticks[-1] >= max(shares) * 100
    assert 2 <= len(ticks) <= 6
    assert len({b - a for a, b in pairwise(ticks)}) == 1


def test_old_report_stays_when_writing_fails(page, figures, tmp_path):
    old = page(content())
    figures["mistakes"].unlink()
    with pytest.raises(FileNotFoundError):
        page(content("faces"))
    assert (tmp_path / "results" / "report.html").read_text(encoding="utf-8") == old


def test_old_report_stays_when_the_disk_fails(page, tmp_path, monkeypatch):
    old = page(content())

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        page(content("faces"))
    assert (tmp_path / "results" / "report.html").read_text(encoding="utf-8") == old


def test_content_is_left_as_it_was(page):
    parts = content()
    before = copy.deepcopy(parts)
    page(parts)
    assert parts == before


def test_what_is_averaged_or_scaled_stands_apart(page):
    parts = content()
    text = page(parts)
    assert "59.12%" in text
    assert "test, mirrored" in text
    assert "temperature of 1.073" in text
    assert "2.34%" in text
    assert "ensemble" not in text.lower()
    parts["metrics"]["ensemble_mirrored"] = parts["metrics"]["ensemble"] = parts["metrics"]["mirrored"]
    text = page(parts)
    assert "test, ensemble mirrored" in text
    assert "Ensemble: the mean over this network" in text
    for way in ("mirrored", "ensemble", "ensemble_mirrored"):
        del parts["metrics"][way]
    assert "mirror" not in page(parts)
