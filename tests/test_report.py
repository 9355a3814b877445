import copy
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from pipeline.core import files, paths
from pipeline.core.schema import Tracking
from pipeline.evaluate import report
from pipeline.plots.page import _setting
from pipeline.train import record

FIGURES = [
    "samples",
    "balance",
    "curves",
    "confusion",
    "emotions",
    "calibration",
    "corruptions",
    "inspection",
    "mistakes",
    "explanations",
]
BANNER = "Synthetic faces: the results do not apply to real faces"


def content(folder: Path = paths.ROOT) -> dict:
    """Return what the report shows, of the results in `folder`: the committed ones, unless another one is given."""
    out = paths.Outputs(folder)
    sources = {"metrics": out.details, "speed": out.speed, "audit": out.audit}
    read = {name: files.read_json(path) for name, path in sources.items()}
    return {**read, "run": record.read(out.run), "history": files.read_csv(out.history)}


def synthetic() -> dict:
    """Return the same as if it were of synthetic faces."""
    parts = content()
    for part in ("metrics", "audit"):
        parts[part]["data"]["name"] = "synthetic"
    return parts


def of_run(parts: dict, **changes: object) -> None:
    parts["run"] = parts["run"].model_copy(update=changes)


def of_data(parts: dict, **changes: object) -> None:
    config = parts["run"].config
    of_run(parts, config=config.model_copy(update={"data": config.data.model_copy(update=changes)}))


def keys(value: object) -> dict:
    return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else {}


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
        report.write(path, figures=figures, **{"pages": None} | parts)
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


@pytest.mark.slow
@pytest.mark.xdist_group("finished")
def test_a_run_writes_the_keys_of_the_committed_results_which_the_other_tests_here_show(finished):
    committed, written = content(), content(finished.folder)
    for part in (committed, written):
        part |= {"history": part["history"][0], "run": part["run"].model_dump()}
    assert keys(written) == keys(committed)


def test_page_carries_name_digest_and_numbers(page):
    parts = content()
    of_run(parts, git_commit="4f0c8e6b", mlflow_run_id="0123456789abcdef")
    test, speed, run, audit = parts["metrics"]["test"], parts["speed"], parts["run"], parts["audit"]
    text = page(parts)
    for shown in (
        *("fer2013", parts["metrics"]["data"]["digest"], "dvc repro", "git checkout 4f0c8e6b\n", "0123456789abcdef"),
        *(f"{test[key]:.2%}" for key in ("accuracy", "balanced_accuracy", "macro_f1", "ece")),
        f"{test['accuracy_low']:.1%} to {test['accuracy_high']:.1%}",
        *(f"{test['loss']:.4f}", f"{speed['latency_ms_median']:.2f} ms", "3,589", "167,239", "3 of 7"),
        *(f"{audit['duplicates']['within']['train']['surplus']:,}", f"{audit['altered']['sharpness']['val']:.4g}"),
        *(run.hardware["processor"], run.versions["keras"]),
    ):
        assert shown in text, shown


def test_a_threshold_that_no_prediction_reaches_is_said_in_words(page):
    parts = content()
    assert "% of the predictions on val are\ncorrect. On test " in page(parts)
    parts["metrics"]["confident"] |= {"threshold": 1.0, "test": {"share": 0.0, "accuracy": 0.0}}
    text = page(parts)
    assert "No prediction of this model is confident: there is no probability from which on 80% of the" in text
    assert "On test 0.00%" not in text


def test_the_run_is_a_link_only_if_there_is_a_server(page):
    parts = content()
    of_run(parts, mlflow_run_id="0123456789abcdef")
    linked = page(parts | {"pages": "http://runs.example.org:5000"})
    assert '<a href="http://runs.example.org:5000/#/runs/0123456789abcdef"><code>0123456789abcdef</code></a>' in linked
    assert "<code>0123456789abcdef</code>" in page(parts)
    for uri, pages in {
        None: None,
        "sqlite:///mlflow.db": None,
        "http://host:5000/": "http://host:5000",
        "https://me:secret@host": None,
    }.items():
        assert Tracking(uri=uri, experiment="fer2013").pages == pages


def test_synthetic_faces_carry_a_banner_and_no_comparison(page):
    parts = content()
    parts["metrics"]["kaggle_test"]["accuracy"] = 0.5543
    faces, real = page(synthetic()), page(parts)
    assert BANNER in faces
    assert BANNER not in real
    assert "52.43%" not in faces
    assert "3.00 points above" in real
    assert "52.43%" in real
    assert "54.22%" in real


def test_subset_of_emotions_is_not_compared(page):
    parts, classes = content(), ["fear", "happy"]
    scores, images = parts["metrics"]["test"], parts["audit"]["images"]
    scores["emotions"] = {emotion: scores["emotions"][emotion] for emotion in classes}
    parts["audit"]["images"] = {split: {e: counts[e] for e in classes} for split, counts in images.items()}
    del parts["audit"]["images"]["val"]["fear"]
    of_data(parts, classes=classes)
    text = page(parts)
    assert "52.43%" not in text
    assert "disgust" not in text


@pytest.mark.parametrize(("part", "key"), [("metrics", "confident"), ("speed", "training_minutes"), ("audit", "blank")])
def test_a_number_that_is_missing_is_an_error_and_not_a_blank(page, part, key):
    parts = content()
    del parts[part][key]
    with pytest.raises(UndefinedError, match=key):
        page(parts)


def test_a_measure_of_the_audit_that_the_page_does_not_explain_is_an_error(page):
    parts = content()
    parts["audit"]["altered"]["flatness"] = dict.fromkeys(parts["audit"]["images"], 0.5)
    with pytest.raises(UndefinedError, match="flatness"):
        page(parts)


def test_hostile_names_are_escaped(page):
    parts = content()
    of_data(parts, name="<script>alert(1)</script>")
    of_run(parts, hardware={**parts["run"].hardware, "processor": '"><script>alert(2)</script>'})
    parts["audit"]["altered"]["signs"] = ["<script>alert(3)</script>"]
    parts["metrics"]["data"]["name"] = "<script>alert(4)</script>"
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
    assert _setting(value) == shown


def test_commit_that_does_not_give_the_numbers_is_said_to(page):
    parts = content()
    of_run(parts, git_commit="4f0c8e6b-dirty")
    text = page(parts)
    assert "git checkout 4f0c8e6b\n" in text
    assert "differed from this commit" in text
    of_run(parts, git_commit=None)
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
        page(synthetic())
    assert (tmp_path / "results" / "report.html").read_text(encoding="utf-8") == old


def test_old_report_stays_when_the_disk_fails(page, tmp_path, monkeypatch):
    old = page(content())

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        page(synthetic())
    assert (tmp_path / "results" / "report.html").read_text(encoding="utf-8") == old


def test_content_is_left_as_it_was(page):
    parts = content()
    before = copy.deepcopy(parts)
    page(parts)
    assert parts == before


def test_what_is_averaged_or_scaled_stands_apart(page):
    parts = content()
    text = page(parts)
    assert f"{parts['metrics']['flip_tta']['test']['accuracy']:.2%}" in text
    assert "test, flip tta" in text
    assert f"temperature of {parts['metrics']['calibrated']['temperature']:.3f}" in text
    assert f"{parts['metrics']['calibrated']['test']['ece']:.2%}" in text
    assert "ensemble" not in text.lower()
    parts["metrics"]["ensemble_flip_tta"] = parts["metrics"]["ensemble"] = parts["metrics"]["flip_tta"]
    text = page(parts)
    assert "test, ensemble flip tta" in text
    assert "Ensemble: the mean over this model" in text
    for way in ("flip_tta", "ensemble", "ensemble_flip_tta"):
        del parts["metrics"][way]
    assert "flip tta" not in page(parts)
