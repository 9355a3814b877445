"""The configuration: where a value comes from, and what is refused."""

import re
import sys

import pytest
import yaml

from pipeline.core import params, paths
from pipeline.core.config import GROUPS
from pipeline.core.errors import PipelineError
from pipeline.core.nested import flatten
from pipeline.sweep.plan import plan


def test_params_choose_and_options_define(config):
    cfg = config()
    assert (cfg.data.name, cfg.model.name, cfg.model.filters, cfg.train.epochs) == ("fer2013", "seed_cnn", 64, 60)


def test_the_command_line_wins_over_experiment_and_params(config):
    assert config("experiment=demo").data.name == "synthetic"
    assert config("experiment=demo").train.epochs == 6
    assert config("experiment=demo", "data=fer2013", "train.epochs=3").data.name == "fer2013"
    assert config("experiment=demo", "data=fer2013", "train.epochs=3").train.epochs == 3
    assert config("model=linear", "optimizer=sgd").optimizer.momentum == 0.9


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (paths.CONF / "experiment").glob("*.yaml")))
def test_every_experiment_composes_and_says_what_to_expect(config, experiment):
    cfg = config(f"experiment={experiment}")
    header = (paths.CONF / "experiment" / f"{experiment}.yaml").read_text().partition("\nchoices:")[0]
    assert cfg.train.epochs >= 1
    if experiment != "none":
        for word in ("source", "command", "expected"):
            assert re.search(rf"^#   {word} +\S", header, re.MULTILINE), f"{experiment}.yaml does not state its {word}"


def test_params_yaml_comes_with_the_experiment_of_the_notebook(config):
    assert config() == config("experiment=notebook")


@pytest.mark.parametrize(
    ("override", "key", "accepted"),
    [
        ("train.epochs=0", "train.epochs is 0", "greater than or equal to 1"),
        ("train.epochs=many", "train.epochs is 'many'", "integer"),
        ("train.epochs=2.5", "train.epochs is 2.5", "integer"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate is -1", "greater than 0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate is nan", "finite"),
        ("data.classes=[happy,smile]", "'smile'", "'surprise'"),
        ("data.classes=[happy]", "data.classes", "at least 2"),
        ("data.classes=[happy,happy]", "data", "twice"),
        ("train.batch_size=28710", "train.batch_size is 28710", "1 to 28709"),
        ("train.restore_best=first", "train.restore_best is 'first'", "a valid boolean"),
        ("+train.keep=best", "train.keep is now called", "train.restore_best: true for best"),
        ("data=faces", "data/faces is now called", "data/synthetic"),
        ("choices.model=linear", "choices.model=linear", "use model=linear"),
        ("+choices.optimizer=nonsense", "choices.optimizer=nonsense", "use optimizer=nonsense"),
        ("augment.zoom=1.5", "augment.zoom is 1.5", "less than 1"),
        ("model.filters=0", "model.filters is 0", "greater than or equal to 1"),
        ("model.name=lenet", "lenet", "linear, mini_xception"),
        ("seed=-1", "seed is -1", "greater than or equal to 0"),
        ("tracking.uri=somewhere", "tracking.uri", "https?"),
        ("+train.epoch=3", "unknown key 'train.epoch'", "epochs, batch_size, label_smoothing, class_weight"),
        ("+optimizer.momentum=0.5", "unknown key 'optimizer.momentum'", "name, learning_rate, clip_norm, beta_1"),
        ("+x=1", "unknown key 'x'", "model, augment, optimizer"),
        ("x=1", "unknown key 'x'", "model, augment, optimizer"),
        ("train.epoch=3", "unknown key 'train.epoch'", "epochs, batch_size, label_smoothing, class_weight"),
        ("model.fliters=3", "unknown key 'model.fliters'", "name, filters, dense, dropout"),
        ("choices.modle=linear", "choices.modle=linear", "use modle=linear"),
        ("~data.kaggle", "kaggle", "owner/name/versions/1"),
    ],
)
def test_an_error_names_the_key_the_value_and_what_is_accepted(config, override, key, accepted):
    with pytest.raises(PipelineError) as error:
        config(override)
    message = str(error.value)
    assert key in message
    assert accepted in message
    assert message.count("\n") <= 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("train.epochs=0", ["train.epochs is 0"]),
        ("train.epoch=3", ["train.epoch"]),
        ("model=lenet", ["model/lenet", "linear", "seed_cnn"]),
        ("experiment=none2", ["experiment/none2", "demo"]),
        ("model=linear,", ["'model' has no value that can be read; accepted: KEY=VALUE, or KEY=A,B without blanks"]),
    ],
)
def test_a_bad_argument_ends_a_stage_before_any_work(project, argument, words):
    before = project.files()
    done = project.stage("train", argument, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)
    assert project.files() == before


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        (r"model: seed_cnn", "model: lenet", ["model/lenet", "linear"]),
        (r"  model: seed_cnn.*\n", "", ["choices.model is missing", "linear, mini_xception"]),
        (r"epochs: 1", "epochs: [1", ["params.yaml"]),
        (r"^seed: 42", "sed: 42", ["'seed' is missing", "unknown key 'sed'"]),
    ],
)
def test_a_mistake_in_params_is_told_with_its_place(project, pattern, replacement, words):
    project.edit("params.yaml", pattern, replacement)
    done = project.run(sys.executable, "-m", "pipeline.preprocess", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("params.yaml", b"x: \xff", "params.yaml is not text in UTF-8: invalid start byte at byte"),
        ("conf/model/seed_cnn.yaml", b"x: \xff", "seed_cnn.yaml is not text in UTF-8"),
        ("params.yaml", b"x: &x [1]\ny: *x", "params.yaml has an alias"),
        ("params.yaml", b"x: " + b"[" * 5000, "params.yaml or conf/ cannot be read: maximum recursion depth"),
        ("params.yaml", b"defaults: null", "params.yaml or conf/ cannot be read: Invalid defaults list in 'params'"),
        ("params.yaml", b"hydra: [1]", "searchpath"),
    ],
    ids=range(6),
)
def test_a_file_that_is_no_settings_ends_with_a_line(project, name, content, message):
    path = project.path(name)
    path.write_bytes(path.read_bytes() + b"\n" + content)
    done = project.stage("download", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_an_experiment_is_written_and_the_comments_stay(project):
    project.stage("use", "model=linear", "train.epochs=5", "optimizer.learning_rate=0.01")
    text = project.path("params.yaml").read_text()
    assert re.search(r"model: linear +# seed_cnn, patch_cnn", text)
    assert "epochs: 5" in text
    assert project.stage("use", "model=linear").stdout.strip().endswith("nothing to change")


def test_going_back_leaves_params_yaml_as_it_was_and_nothing_given_is_a_mistake(project):
    project.stage("use", "train.patience=3")
    before = project.path("params.yaml").read_text()
    assert re.search(r"patience: 3 ", before)
    project.stage("use", "train.patience=null")
    assert re.search(r"patience: null ", project.path("params.yaml").read_text())
    done = project.stage("use", check=False)
    assert done.returncode == 1
    assert "accepted: overrides such as experiment=best" in done.stderr


def test_an_ensemble_is_recorded_as_any_other_setting(project):
    digest = "0" * 64
    override = f"evaluate.ensemble={{weights/a.h5: '{digest}', weights/b.h5: '{digest}'}}"
    project.stage("use", override)
    text = project.path("params.yaml").read_text()
    assert re.search(r"ensemble: +# \.h5 files", text)
    assert yaml.safe_load(text)["evaluate"]["ensemble"] == {"weights/a.h5": digest, "weights/b.h5": digest}
    assert project.stage("use", override).stdout.strip().endswith("nothing to change")


def test_what_params_cannot_hold_is_not_recorded(project):
    before = project.path("params.yaml").read_text()
    done = project.stage("use", "model.filters=8", "train.epochs=5", check=False)
    assert done.returncode == 1
    assert "model.filters" in done.stderr
    assert "conf/model/" in done.stderr
    assert project.path("params.yaml").read_text() == before


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (paths.CONF / "experiment").glob("*.yaml")))
def test_every_experiment_can_be_written(experiment):
    chosen = yaml.safe_load((paths.CONF / f"experiment/{experiment}.yaml").read_text()) or {}
    values = flatten(chosen)
    now = flatten(yaml.safe_load(paths.PARAMS.read_text()))
    assert params.changes([f"experiment={experiment}"]) == {k: v for k, v in values.items() if now[k] != v}


@pytest.mark.parametrize("experiment", ["notebook", "sprint", "first", "small", "best", "architectures"])
def test_an_experiment_is_the_same_whatever_params_yaml_says(experiment):
    chosen = yaml.safe_load((paths.CONF / f"experiment/{experiment}.yaml").read_text())
    params = yaml.safe_load(paths.PARAMS.read_text())
    open_to_all = {"tracking"} | ({"model"} if experiment == "architectures" else set())
    assert set(chosen["choices"]) == set(GROUPS) - open_to_all
    assert [set(chosen[section]) for section in ("optimizer", "train")] == [{"learning_rate"}, set(params["train"])]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_a_choice_on_the_command_line_is_refused_with_what_to_use(config, group, prefix):
    for compose in (config, lambda override: plan([override, "seed=1,2"])):
        with pytest.raises(PipelineError, match=rf"use {group}=none"):
            compose(f"{prefix}choices.{group}=none")


def test_a_choice_beside_a_flag_of_hydra_is_refused(project):
    done = project.stage("train", "--cfg", "job", "choices.model=linear", check=False)
    assert done.returncode == 1
    assert done.stderr == "error: choices.model=linear has no effect on the command line; use model=linear\n"


@pytest.mark.parametrize("group", GROUPS)
def test_each_option_is_composed_by_its_group(config, group):
    for option in (paths.CONF / group).glob("*.yaml"):
        section = getattr(config(f"{group}={option.stem}"), group).model_dump(mode="json")
        stated = {key: value for key, value in yaml.safe_load(option.read_text()).items() if not isinstance(value, str)}
        assert {key: section[key] for key in stated} == stated
