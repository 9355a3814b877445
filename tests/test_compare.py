"""python -m pipeline.compare on a real store of runs, made without training."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compare import __main__ as compare
from pipeline.compare import runs
from pipeline.core import paths, provenance
from pipeline.core.errors import PipelineError
from pipeline.core.stage import RunContext
from pipeline.plots import comparison
from pipeline.train import stage
from pipeline.train.record import Dataset
from tests.store import CLASSES, Store


@pytest.fixture(scope="module")
def store(new_project) -> Store:
    """Return a store with two clearly different models, one almost like the better, and three seeds of a fourth."""
    made = Store(new_project("store"))
    made.add("good", 0.70, model={"name": "good"}, splits=("val", "test"))
    made.add("alike", 0.695, model={"name": "alike"}, splits=("val", "test"))
    made.add("poor", 0.55, model={"name": "poor"})
    for seed in (1, 2, 3):
        made.add(f"seeded, seed={seed}", 0.60 + seed / 100, seed=seed, model={"name": "seeded"}, tags={"sweep": "s-1"})
    made.add("elsewhere", 0.7, digest="b" * 64, model={"name": "good"})
    made.add("fewer", 0.7, data={"classes": CLASSES[:2]}, model={"name": "good"})
    for name, code in ("once", "1"), ("again", "1"), ("edited", "2"):
        made.add(name, 0.65, model={"name": "coded"}, tags={"code": code})
    return made


@pytest.fixture
def compared(store, monkeypatch, capsys):
    """Return the function that compares runs, as the command does, and returns what it prints and the page's path."""
    monkeypatch.setattr(paths, "HOME", store.project.folder)

    def compared(*wanted: str, split: str = "val") -> tuple[str, Path]:
        page = compare.compare(store.tracker, list(wanted), split)
        return capsys.readouterr().out, page

    return compared


def content(page: Path) -> dict:
    return json.loads(page.with_name("comparison.json").read_text())


def chosen(options: dict[str, str], **parameters: str) -> list[runs.Run]:
    """Return the one run of a configuration; its parameters are named with two underscores for the dot."""
    tags = {f"choice.{group}": option for group, option in options.items()}
    parameters = {key.replace("__", "."): value for key, value in parameters.items()}
    return [runs.Run("", "", {"optimizer.name": options["optimizer"], **parameters}, tags, [], {})]


def test_an_option_stands_for_the_parameters_that_it_decides():
    def run(augment: str, flip: str, rate: str) -> list[runs.Run]:
        options = {"augment": augment, "optimizer": "adam", "tracking": rate}
        return chosen(options, augment__flip=flip, optimizer__learning_rate=rate, seed="1")

    assert runs.labels([run("none", "False", "0.1"), run("affine", "True", "0.1"), run("affine", "True", "0.2")]) == [
        "augment=none, optimizer.learning_rate=0.1",
        "augment=affine, optimizer.learning_rate=0.1",
        "augment=affine, optimizer.learning_rate=0.2",
    ]
    edited = [run("affine", "True", "0.1"), run("affine", "False", "0.1")]
    assert runs.labels(edited) == ["augment.flip=True", "augment.flip=False"]


def test_a_parameter_of_params_yaml_is_named_beside_the_options_for_it_is_of_none():
    seed_cnn = chosen({"model": "seed_cnn", "optimizer": "adam"}, model__filters="16", optimizer__learning_rate="0.001")
    linear = chosen({"model": "linear", "optimizer": "sgd"}, model__filters="0", optimizer__learning_rate="0.1")
    assert runs.labels([seed_cnn, linear]) == [
        "model=seed_cnn, optimizer=adam, optimizer.learning_rate=0.001",
        "model=linear, optimizer=sgd, optimizer.learning_rate=0.1",
    ]


def run(name: str, seed: int = 1, model: str = "linear", **tags: str) -> runs.Run:
    """Return a run whose id is its letter 32 times; `tags` are its code and its commit."""
    parameters = {"model.name": model, "seed": str(seed)}
    tags = {runs.COMMIT if key == "commit" else key: value for key, value in tags.items()}
    return runs.Run(name * 32, name, parameters, tags, [], {})


CLEAN = "0123456789" * 4
EDITED = CLEAN + runs.DIRTY


@pytest.mark.parametrize(
    ("found", "groups"),
    [
        ([run("a", code="1", commit=EDITED), run("b", 2, code="1", commit=CLEAN)], ["a b"]),
        ([run("a", code="1", commit=EDITED), run("b", code="1", commit=EDITED)], ["a"]),
        ([run("a", code="1", commit=EDITED), run("b", 2, code="2", commit=EDITED)], ["a", "b"]),
        ([run("a", code="1", commit=EDITED), run("b", code="2", commit=EDITED)], ["a", "b"]),
        ([run("a", commit=CLEAN), run("b", 2, commit=CLEAN), run("c", commit=CLEAN)], ["a b"]),
        ([run("a", commit=EDITED), run("b", 2, commit=EDITED), run("c", commit=EDITED)], ["a", "b", "c"]),
        ([run("a"), run("b", 2)], ["a", "b"]),
    ],
    ids=["one code", "a repeat", "other code", "other code, same seed", "clean commit", "edited", "outside git"],
)
def test_runs_are_of_one_configuration_where_their_code_is_known_to_be_the_same(found, groups):
    assert [" ".join(run.name for run in group) for group in runs.group_seeds(found)] == groups


def test_the_commit_is_named_where_the_code_differs_and_the_id_where_nothing_else_does():
    def labels(*found: runs.Run) -> list[str]:
        return runs.labels([[run] for run in found])

    linear, vgg = run("a", code="1", commit=EDITED), run("b", model="vgg", code="1", commit=CLEAN)
    assert labels(linear, vgg) == ["model.name=linear", "model.name=vgg"]
    committed, edited = run("c", code="2", commit=CLEAN), run("d", code="3", commit=EDITED)
    assert labels(linear, committed) == ["commit=0123456-dirty", "commit=0123456"]
    vgg = run("b", model="vgg", code="1", commit=EDITED)
    same = [f"model.name=linear ({letter * 8})" for letter in "ad"]
    assert labels(linear, edited, vgg) == [*same, "model.name=vgg"]
    assert labels(linear, edited) == ["a", "d"]
    assert labels(linear, edited._replace(name="a")) == ["a (aaaaaaaa)", "a (dddddddd)"]


def test_seeds_that_nothing_tells_from_others_are_called_by_their_model():
    seeds = [run(f"linear, seed={seed}", code="1", commit=CLEAN) for seed in (1, 2)]
    assert runs.labels([seeds]) == ["linear"]
    assert runs.labels([seeds[:1]]) == ["linear, seed=1"]


def test_each_training_is_tagged_with_its_code_outside_git_too(config):
    tags = stage._tags(
        config(), RunContext(paths.Outputs(), "manual", {}), Dataset(name="fer2013", digest="a" * 64), None
    )
    assert tags["code"] == provenance.fingerprint({"seed_cnn"})
    assert runs.COMMIT not in tags


def test_long_names_below_the_curves_are_whole(tmp_path):
    rows = [{"val_accuracy": 0.5, "val_loss": 1.0}] * 2
    names = [", ".join(f"optimizer.setting_{n}=0.0{n}{i}" for n in range(9)) for i in range(8)]
    comparison.curves(tmp_path / "curves.png", {name: [rows] for name in names}, "fer2013")
    edge = np.asarray(Image.open(tmp_path / "curves.png").convert("L"))[:, -2:]
    assert edge.min() == 255


@pytest.mark.xdist_group("compare")
class TestCompare:
    def test_a_clear_difference_is_told_from_chance(self, compared):
        printed, _ = compared("good", "alike", "poor")
        rows = [line.split("|")[2].strip() for line in printed.splitlines() if re.match(r"\| \d", line)]
        assert rows == ["model.name=good", "model.name=alike", "model.name=poor"]
        assert re.search(r"^1 and 2: no significant difference, .* McNemar p = ", printed, re.MULTILINE)
        assert re.search(r"^1 is better than 3 by 1[45]\.\d\d points .*McNemar p = \d", printed, re.MULTILINE)

    def test_seeds_of_one_configuration_are_one_line(self, compared):
        _, page = compared("poor", "s-1")
        seeded, poor = content(page)["rows"]
        assert sorted(seeded["seeds"]) == ["1", "2", "3"]
        assert seeded["accuracy"] == pytest.approx(np.mean(seeded["each_run"]))
        assert seeded["deviation"] == pytest.approx(np.std(seeded["each_run"], ddof=1))
        assert seeded["low"] < min(seeded["each_run"]) < max(seeded["each_run"]) < seeded["high"]
        assert len(poor["seeds"]) == 1
        (difference,) = content(page)["differences"]
        assert difference["p"] is None
        assert difference["significant"]

    def test_a_repeat_is_left_out_and_named_and_a_run_of_other_code_is_not(self, compared):
        printed, page = compared("once", "again", "edited", "poor")
        again, *kept = (compared("poor", name)[1] for name in ("again", "once", "edited"))
        (repeat,) = content(again)["rows"][0]["ids"]
        assert f"not compared, because they repeat another run: again ({repeat[:8]})\n" in printed
        ids = [content(page)["rows"][0]["ids"][0] for page in kept]
        rows = content(page)["rows"]
        assert sorted(id for row in rows[:2] for id in row["ids"]) == sorted(ids)
        assert {row["label"] for row in rows[:2]} == {f"model.name=coded ({run_id[:8]})" for run_id in ids}

    def test_the_page_needs_nothing_beside_it(self, compared):
        _, page = compared("good", "poor")
        text = page.read_text()
        assert "http://" not in text
        assert "https://" not in text
        assert text.count("data:image/png;base64,") == 2
        assert {"curves.png", "accuracies.png", "comparison.json"} <= {p.name for p in page.parent.iterdir()}

    def test_the_command_logs_it_to_mlflow(self, store):
        done = store.project.run(sys.executable, "-m", "pipeline.compare", "good", "poor")
        assert Path(done.stdout.splitlines()[-1]).name == "comparison.html"
        client = store.tracker.client
        found = client.search_runs([store.tracker.experiment_id], "tags.source = 'compare'")
        assert found[0].info.status == "FINISHED"
        assert "model.name=poor" in found[0].data.tags["mlflow.note.content"]
        assert {"comparison.html", "curves.png"} <= {a.path for a in client.list_artifacts(found[0].info.run_id)}

    def test_runs_are_named_by_id_name_sweep_or_filter(self, store, compared):
        good = store.tracker.client.search_runs([store.tracker.experiment_id], "attributes.run_name = 'good'")[0]
        _, page = compared(good.info.run_id[:8], "tags.sweep = 's-1' and params.seed = '2'")
        assert content(page)["rows"][0]["ids"] == [good.info.run_id]
        assert content(page)["rows"][1]["seeds"] == ["2"]
        for folder in ("s-1", "multirun/s-1", "/a/checkout/multirun/s-1/"):  # as printed, as the shell completes it
            assert content(compared("good", folder)[1])["rows"][1]["seeds"] == ["1", "2", "3"]

    def test_test_is_compared_only_where_it_is_asked_for_and_there(self, compared):
        assert "on fer2013 test" in compared("good", "alike", split="test")[1].read_text()
        with pytest.raises(PipelineError, match=r"run 'poor' .* has no predictions_test\.npz"):
            compared("good", "poor", split="test")

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            (["good", "elsewhere"], "different datasets: fer2013 (aaaaaaaaaaaa), and fer2013 (bbbbbbbbbbbb)"),
            (["good", "fewer"], "different emotions: angry, happy, sad, and angry, happy"),
            (["good", "nothing"], "no run 'nothing'"),
            (["good"], "1 finished training runs; accepted: two or more"),
            (["good", "params.model.name ~ 'x'"], "is not a valid MLflow filter"),
            (["good", "params.model.name = 'none'"], "no run matches the filter"),
        ],
    )
    def test_what_cannot_be_compared_is_refused_and_nothing_written(self, store, compared, wanted, said):
        before = store.project.files()
        with pytest.raises(PipelineError, match=re.escape(said)):
            compared(*wanted)
        assert not {name for name in store.project.files() - before if name.startswith("outputs")}
