"""Arrays and audit, on a small archive with everything wrong that the audit looks for."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.constants import EMOTIONS
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Data
from pipeline.data import archive, arrays
from pipeline.data.layouts import Face
from pipeline.preprocess import audit, stage

COUNTS = {"angry": [3, 1, 1], "happy": [4, 2, 3]}
DATA = Data(name="planted", sources=["archive"], classes=["angry", "happy"], counts=COUNTS)
REAL = Path(__file__).parents[2] / "shared/fer2013/fer2013.zip"


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def planted() -> list[Face]:
    """Return 14 faces: picture 1 three times in train, 2 with both labels, 3 and 4 in two splits, a blank one."""
    blank = np.full((48, 48), 7, np.uint8)
    train = [("angry", 1), ("happy", 1), ("happy", 1), ("angry", 2), ("happy", 3), ("happy", 5), ("angry", None)]
    val, test = [("angry", 6), ("happy", 3), ("happy", 4)], [("angry", 2), ("happy", 4), ("happy", 8), ("happy", 9)]
    return [
        Face(split, emotion, number, blank if seed is None else picture(seed))
        for split, faces in (("train", train), ("val", val), ("test", test))
        for number, (emotion, seed) in enumerate(faces)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stage.write(planted(), DATA, tmp_path / "planted")


def test_arrays_hold_the_faces_in_order(folder):
    train = arrays.load(folder, "train", ["angry", "happy"])
    assert isinstance(train.pixels, np.memmap)
    np.testing.assert_array_equal(train.images(), [f.pixels for f in planted() if f.split == "train"])
    assert [("angry", "happy")[i] for i in train.labels] == [f.emotion for f in planted() if f.split == "train"]


def test_a_subset_of_classes_is_chosen_when_reading(folder):
    assert (arrays.load(folder, "test", ["happy", "angry"]).labels == [1, 0, 0, 0]).all()
    happy = arrays.load(folder, "test", ["happy"])
    assert len(happy) == 3
    assert (happy.labels == 0).all()
    np.testing.assert_array_equal(happy.images(), [picture(4), picture(8), picture(9)])


def test_a_class_that_the_dataset_does_not_have_is_refused(folder):
    with pytest.raises(PipelineError, match="has no class 'joy'; accepted: angry, happy"):
        arrays.load(folder, "test", ["happy", "joy"])


def test_the_audit_finds_what_was_planted(folder):
    found = audit.audit(folder)
    assert found["images"]["train"] == {"angry": 3, "happy": 4}
    assert found["duplicates"]["within"]["train"] == {"surplus": 2, "groups": 1}
    assert found["duplicates"]["within"]["test"] == {"surplus": 0, "groups": 0}
    assert found["duplicates"]["across"] == {"val_in_train": 1, "test_in_train": 1, "test_in_val": 1}
    assert found["conflicts"] == {"groups": 1, "images": 3}
    assert found["blank"] == {"train": 1, "val": 0, "test": 0}


def test_test_clean_leaves_out_what_stands_in_train(folder):
    test = arrays.load(folder, "test", ["angry", "happy"])
    np.testing.assert_array_equal(arrays.clean_test(folder, test), [False, True, True, True])


def test_the_digest_depends_on_pixels_and_labels(folder, tmp_path):
    changed = [f._replace(emotion="happy" if f.emotion == "angry" else "angry") for f in planted()]
    counts = {"angry": COUNTS["happy"], "happy": COUNTS["angry"]}
    other = stage.write(changed, DATA.model_copy(update={"counts": counts}), tmp_path / "other")
    again = stage.write(planted(), DATA, tmp_path / "again")
    assert arrays.identity(folder)["digest"] == arrays.identity(again)["digest"] != arrays.identity(other)["digest"]


@pytest.mark.parametrize("change", ["missing", "surplus"])
def test_other_counts_are_refused_and_earlier_arrays_stay(folder, change):
    before = arrays.identity(folder)
    faces = planted()[:-1] if change == "missing" else [*planted(), planted()[-1]]
    with pytest.raises(PipelineError, match="counts"):
        stage.write(faces, DATA, folder)
    assert arrays.identity(folder) == before
    assert len(arrays.load(folder, "test", ["angry", "happy"])) == 4


def drawn(change) -> Iterator[Face]:
    """Yield 60 drawn faces, those of train changed by `change`."""
    from pipeline.download.synthetic import render

    pixels = render(np.arange(60) % 7, np.random.default_rng(3))
    for i, image in enumerate(pixels):
        split = ("train", "val", "test")[i % 3]
        yield Face(split, EMOTIONS[i % 7], i, change(image) if split == "train" else image)


def blur(image: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)))


def equalise(image: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageOps

    noise = np.random.default_rng(0).integers(-9, 10, image.shape)  # levels that a flat histogram can be made of
    return np.asarray(ImageOps.equalize(Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8))))


@pytest.mark.parametrize(
    ("change", "sign"),
    [(lambda image: image, None), (blur, "train looks blurred"), (equalise, "train looks histogram-equalised")],
    ids=["as drawn", "blurred", "equalised"],
)
def test_signs_of_an_altered_copy(tmp_path, change, sign):
    counts = {name: [0, 0, 0] for name in EMOTIONS}
    for i in range(60):
        counts[EMOTIONS[i % 7]][i % 3] += 1
    data = Data(name="drawn", sources=["archive"], classes=list(EMOTIONS), counts=counts)
    signs = audit.audit(stage.write(drawn(change), data, tmp_path / "drawn"))["altered"]["signs"] or []
    assert [s for s in signs if sign and s.startswith(sign)] or (sign is None and not signs), signs


def test_without_an_archive_the_stage_says_what_makes_it(project):
    done = project.stage("preprocess", check=False)
    assert done.returncode == 1
    assert "dvc repro download" in done.stderr


@pytest.mark.skipif(not REAL.exists(), reason="needs FER-2013 beside the checkout: ../shared/fer2013/fer2013.zip")
def test_the_numbers_of_the_real_archive(tmp_path, config):
    data = config().data
    folder = stage.write(archive.read(REAL), data, tmp_path / "fer2013")
    found = audit.audit(folder)
    assert found["duplicates"]["within"]["train"]["surplus"] == 1242
    assert found["duplicates"]["across"] == {"val_in_train": 280, "test_in_train": 288, "test_in_val": 44}
    assert {name: [found["images"][s][name] for s in found["images"]] for name in EMOTIONS} == data.counts
    assert found["altered"]["signs"] is None
    recorded = Path(__file__).parents[1] / "results/audit.json"
    assert found == json.loads(recorded.read_text())
