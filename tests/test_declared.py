"""dvc.yaml declares what decides each stage's outputs, and nothing else."""

import ast
import hashlib

import pytest
import yaml

from pipeline.core import paths, provenance
from tests.imports import PACKAGE, ROOT, closure, relative

STAGES = ("download", "preprocess", "train", "evaluate")
DECLARED = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
GROUPS = ("data", "augment", "model", "optimizer", "schedule", "teacher", "tracking")
CORE = ("command", "config", "locks", "nested", "params", "paths", "progress", "provenance", "redact", "renamed")
CHANGES_NO_OUTPUT = (
    "tracking",
    "pipeline/train/record.py",
    "pipeline/train/checkpoint.py",
    *(f"pipeline/core/{name}.py" for name in (*CORE, "schema", "stage", "validation")),
)
"""What records, starts, checks or names: no dependency of a stage, unless a training's weights go through it."""
TEMPLATES = {"pipeline/evaluate/report.html.jinja", "pipeline/plots/page.css", "pipeline/plots/macros.html.jinja"}
ARCHITECTURES = {"pipeline/models/${choices.model}.py", "pipeline/models/patch_cnn.py"}


def code(stage: str) -> set[str]:
    """Return the modules that decide the outputs of `stage`."""
    if stage == "train":
        return {relative(module) for module in closure(PACKAGE / "train" / "fit.py")} | ARCHITECTURES
    modules = {relative(module) for module in closure(PACKAGE / stage / "stage.py", without=CHANGES_NO_OUTPUT)}
    return modules | (TEMPLATES if stage == "evaluate" else set())


def params(stage: str) -> set[str]:
    return {param for param in DECLARED[stage]["params"] if isinstance(param, str)}


def options(stage: str) -> dict[str, list[str] | None]:
    """Return the files of conf/ that `stage` declares, each with its keys; None is all of them."""
    found = [param for param in DECLARED[stage]["params"] if isinstance(param, dict)]
    return {name: keys for param in found for name, keys in param.items()}


def outs(stage: str) -> set[str]:
    kinds = ("outs", "metrics", "plots")
    return {next(iter(o)) if isinstance(o, dict) else o for kind in kinds for o in DECLARED[stage].get(kind, [])}


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_that_decides_the_outputs_is_declared_and_no_other(stage):
    declared = {dep for dep in DECLARED[stage]["deps"] if dep.startswith("pipeline/")}
    assert declared == code(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_its_folder(stage):
    assert DECLARED[stage]["cmd"] == f"python -m pipeline.{stage}"


def test_the_params_of_train_are_all_of_its_settings():
    from pipeline.core.schema import TrainingConfig

    sections = set(TrainingConfig.model_fields)
    groups = sections & set(GROUPS)
    assert params("train") == {f"choices.{group}" for group in groups} | (sections & set(PARAMS))
    data = TrainingConfig.model_fields["data"].annotation.model_fields
    expected = {f"conf/{group}/${{choices.{group}}}.yaml": None for group in groups}
    assert options("train") == {**expected, "conf/data/${choices.data}.yaml": list(data)}


def test_the_params_of_download_and_preprocess_are_what_decides_the_images():
    assert params("download") == params("preprocess") == {"choices.data"}
    (download,), (preprocess,) = (options(stage).values() for stage in ("download", "preprocess"))
    assert set(download) - set(preprocess) == {"sources", "archive", "kaggle"}
    used = {
        node.attr
        for node in ast.walk(ast.parse((PACKAGE / "download" / "stage.py").read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "data"
    }
    assert used == set(download)


def test_every_option_of_data_has_all_of_the_declared_keys():
    for option in (ROOT / "conf/data").glob("*.yaml"):
        assert set(yaml.safe_load(option.read_text())) == {
            *options("download")["conf/data/${choices.data}.yaml"],
            "classes",
        }


def test_the_paths_of_the_code_are_those_of_dvc_yaml():
    out = paths.Outputs(ROOT)
    relative_paths = {str(p.relative_to(ROOT)) for p in vars(out).values() if p.suffix}
    named = {o for stage in STAGES for o in outs(stage)}
    assert relative_paths <= named
    assert str(paths.raw("${choices.data}").relative_to(paths.ROOT)) in named
    assert str(paths.arrays("${choices.data}").relative_to(paths.ROOT)) in named


def test_pictures_of_people_stay_out_of_git():
    pictures = ("samples", "inspection", "mistakes", "explanations")
    shown = {"results/report.html", *(f"results/{name}.png" for name in pictures)}
    cached = {o for stage in STAGES for o in DECLARED[stage].get("outs", []) if isinstance(o, str)}
    ignored = {f"results{line}" for line in (ROOT / "results/.gitignore").read_text().split()}
    assert shown <= cached
    assert {o for o in cached if o.startswith("results/")} == ignored


def test_a_key_is_in_params_or_in_an_option_never_in_both():
    for group in GROUPS:
        for option in (ROOT / "conf" / group).glob("*.yaml"):
            assert not set(yaml.safe_load(option.read_text())) & set(PARAMS.get(group, {})), option


@pytest.mark.parametrize("option", ["first", "first_flip"])
def test_a_teacher_is_the_model_in_weights(option):
    models = yaml.safe_load((ROOT / f"conf/teacher/{option}.yaml").read_text())["models"]
    assert models
    assert models == {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in models}


@pytest.mark.parametrize("group", ["data", "model"])
def test_an_option_of_data_or_model_has_the_name_of_its_file(group):
    for option in (ROOT / "conf" / group).glob("*.yaml"):
        assert yaml.safe_load(option.read_text())["name"] == option.stem
        assert group == "data" or (PACKAGE / "models" / f"{option.stem}.py").is_file()


class TestFingerprint:
    """What moves the fingerprint of a training's code, by which checkpoints and sweeps are found again."""

    @pytest.fixture
    def copy(self, tmp_path, monkeypatch):
        """Return the root of a copy of the code, which the fingerprint is computed from."""
        for file in (ROOT / "dvc.yaml", *PACKAGE.rglob("*.py")):
            target = tmp_path / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
        monkeypatch.setattr(paths, "ROOT", tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        "name",
        [
            *("core/redact.py", "core/locks.py", "core/progress.py", "core/command.py", "core/stage.py"),
            *("core/schema.py", "tracking/tracker.py", "train/stage.py", "train/record.py", "plots/learning.py"),
            *("sweep/sweep.py", "compare/__main__.py", "models/vgg.py"),
        ],
    )
    def test_what_records_shows_or_starts_and_other_architectures_do_not(self, copy, name):
        before = provenance.fingerprint({"seed_cnn"})
        file = copy / "pipeline" / name
        file.write_text(file.read_text() + "\nCHANGED = 1\n")
        assert provenance.fingerprint({"seed_cnn"}) == before

    @pytest.mark.parametrize("name", ["data/augment.py", "train/loop.py", "models/seed_cnn.py", "core/constants.py"])
    def test_what_decides_weights_does_but_not_its_comments_and_docstrings(self, copy, name):
        before = provenance.fingerprint({"seed_cnn"})
        file = copy / "pipeline" / name
        file.write_text('"""Another docstring."""\n' + file.read_text().split('"""\n', 1)[1] + "\n# A comment.\n")
        assert provenance.fingerprint({"seed_cnn"}) == before
        file.write_text(file.read_text() + "\nCHANGED = 1\n")
        assert provenance.fingerprint({"seed_cnn"}) != before

    def test_settings_and_dataset_do_in_whatever_order_they_are_written(self):
        one = provenance.fingerprint({"seed_cnn"}, {"seed": 1, "train": {"epochs": 2}}, "digest")
        assert provenance.fingerprint({"seed_cnn"}, {"train": {"epochs": 2}, "seed": 1}, "digest") == one
        assert provenance.fingerprint({"seed_cnn"}, {"seed": 1, "train": {"epochs": 3}}, "digest") != one
        assert provenance.fingerprint({"seed_cnn"}, {"seed": 1, "train": {"epochs": 2}}, "other") != one

    def test_a_new_architecture_does_not(self, copy):
        before = provenance.fingerprint({"seed_cnn"})
        (copy / "pipeline/models/new.py").write_text("class Options: ...\n")
        assert provenance.fingerprint({"seed_cnn"}) == before
        assert provenance.fingerprint({"new"}) != before
