"""`python -m pipeline.prepare`: what people have becomes a dataset that the stages read."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Data
from pipeline.data import archive
from pipeline.download.stage import download
from pipeline.prepare import pictures, splits
from pipeline.prepare.__main__ import main
from pipeline.prepare.names import class_of, split_of
from pipeline.preprocess.stage import preprocess
from tests.archives import image, pixels, row, table, tar_gz, write_folder, write_zip
from tests.conftest import with_dvc


def drawn(names: list[str], side: int = 48, colour: bool = False) -> dict[str, bytes]:
    """Return a different PNG file for each of `names`."""
    shape = (side, side, 3) if colour else (side, side)
    draw = np.random.default_rng
    return {name: image(draw(i).integers(0, 256, shape, np.uint8), "PNG") for i, name in enumerate(names)}


def files(*folders: str, n: int = 4) -> list[str]:
    return [f"{folder}/{i}.png" for folder in folders for i in range(n)]


Prepare = Callable[..., dict[str, list[int]]]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty checkout's folder."""
    home = tmp_path / "home"
    for name in ("fer2013", "synthetic"):
        write_folder(home / "conf/data", {f"{name}.yaml": (paths.CONF / f"data/{name}.yaml").read_bytes()})
    for name, path in (("ROOT", home), ("HOME", home), ("CONF", home / "conf")):
        monkeypatch.setattr(paths, name, path)
    return home


@pytest.fixture
def prepare(own: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Return the function that runs the command, and returns the counts that it has written."""

    def run(source: Path, *arguments: str) -> dict[str, list[int]]:
        main.__wrapped__([str(source), "--name", "mine", *arguments])
        return option(own).counts

    return run


def option(own: Path) -> Data:
    return Data(**yaml.safe_load((own / "conf/data/mine.yaml").read_text()))


def faces(own: Path) -> list[archive.Face]:
    """Return the faces that the stage download accepts."""
    data = option(own)
    return list(archive.read(download(data, own / "data/raw/mine"), classes=list(data.counts)))


def state(own: Path) -> dict[str, bytes]:
    """Return all files but those of locks."""
    return {str(p): p.read_bytes() for p in own.rglob("*") if p.is_file() and p.parent.name != "outputs"}


# What is understood

SPLIT = files("train/happy", "train/sad", n=6) + files("test/happy", "test/sad", n=2)


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (files("happy", "sad", n=20), {"happy": [16, 2, 2], "sad": [16, 2, 2]}),
        (files("faces/all/Happy", "faces/all/SAD", n=20), {"happy": [16, 2, 2], "sad": [16, 2, 2]}),
        (SPLIT, {"happy": [5, 1, 2], "sad": [5, 1, 2]}),
        (
            files("images/images/train/happy", "images/images/train/sad", "images/images/validation/happy")
            + files("images/images/validation/sad"),
            {"happy": [3, 4, 1], "sad": [3, 4, 1]},
        ),
        (
            [
                f"x/{c}/{s}/{i}.png"
                for c in ("yawning", "contempt")
                for s in ("training", "valid", "eval")
                for i in "12"
            ],
            {"contempt": [2, 2, 2], "yawning": [2, 2, 2]},
        ),
        (
            [
                f"{s}/{c}/{i}.png"
                for s in ("Train", "Val", "Test")
                for c in ("anger", "fearful", "2_Happiness")
                for i in "12"
            ],
            {"angry": [2, 2, 2], "fear": [2, 2, 2], "happy": [2, 2, 2]},
        ),
        (
            [
                f"{folder}/{label}/{usage}_1.png"
                for label in ("happy", "Sad")
                for folder, usage in (("train", "Training"), ("test", "PublicTest"), ("test", "PrivateTest"))
            ],
            {"happy": [1, 1, 1], "sad": [1, 1, 1]},
        ),
        (files("happy/person1", "happy/person2", "sad/person1", n=6), {"happy": [10, 1, 1], "sad": [4, 1, 1]}),
    ],
    ids=["classes", "below and capital", "no val", "validation", "class first", "synonyms", "Kaggle", "persons"],
)
def test_folders_are_understood(tmp_path, own, prepare, names, counts):
    assert prepare(write_folder(tmp_path / "source", drawn(names))) == counts
    found = faces(own)
    assert len(found) == len(names)
    expected = {hashlib.sha256(encoded).digest() for encoded in drawn(names).values()}
    assert len({face.pixels.tobytes() for face in found}) == len(expected)


def packed(kind: str, folder: Path, members: dict[str, bytes]) -> Path:
    if kind == "folder":
        return write_folder(folder / "source", members)
    path = folder / f"source.{kind}"
    if kind == "zip":
        return write_zip(path, members, deflate=True)
    content = tar_gz(*members.items())
    path.write_bytes(content if kind == "tar.gz" else gzip.decompress(content))
    return path


def test_the_kind_of_archive_does_not_matter_nor_do_the_names_of_the_files(tmp_path, own, prepare):
    written = set()
    for kind in ("folder", "zip", "tar", "tar.gz"):
        members = {f"{kind}/{name}": content for name, content in drawn(SPLIT).items()}
        prepare(packed(kind, tmp_path, members), "--force")
        written.add((own / "data/own/mine.zip").read_bytes())
    assert len(written) == 1


def test_the_same_source_gives_the_same_bytes(tmp_path, own, prepare):
    source = write_folder(tmp_path / "source", drawn(files("happy", "sad", n=20)))
    prepare(source)
    first = state(own)
    prepare(source, "--force")
    assert state(own) == first
    prepare(source, "--force", "--seed", "1")
    assert state(own).keys() == first.keys()
    assert state(own) != first
    with zipfile.ZipFile(own / "data/own/mine.zip") as written:
        assert {m.date_time[0] for m in written.infolist()} == {1980}


def test_a_zip_made_on_windows_is_read(tmp_path, prepare):
    path = write_zip(tmp_path / "x.zip", {name.replace("/", "\\"): content for name, content in drawn(SPLIT).items()})
    assert prepare(path) == {"happy": [5, 1, 2], "sad": [5, 1, 2]}


def test_colour_becomes_grey_and_any_size_48x48(tmp_path, own, prepare, capsys):
    prepare(write_folder(tmp_path / "source", drawn(SPLIT, 100, colour=True) | drawn(["train/sad/grey.png"], 40)))
    printed = capsys.readouterr().out
    assert "sizes: 100x100 (16), 40x40 (1); resized to 48x48" in printed
    assert "colour: 16, converted to grey" in printed
    assert {face.pixels.shape for face in faces(own)} == {(48, 48)}
    assert "converted to grey" in (own / "conf/data/mine.yaml").read_text()


def test_a_picture_is_reduced_by_area_averaging():
    doubled = np.kron(pixels(3), np.ones((2, 2), np.uint8))
    assert np.array_equal(pictures.read(image(doubled, "PNG"), "a").face, pixels(3))
    assert np.array_equal(pictures.read(image(pixels(3), "PNG"), "a").face, pixels(3))
    checked = np.tile(np.array([[0, 100], [100, 200]], np.uint8), (48, 48))
    assert (pictures.read(image(checked, "PNG"), "a").face == 100).all()


@pytest.mark.parametrize("size", [(48, 97), (300, 100), (7, 7), (1, 1)])
def test_a_picture_that_is_no_face_is_refused_by_its_size(size):
    with pytest.raises(PipelineError, match=f"a.png has {size[0]}x{size[1]} pixels; accepted: faces"):
        pictures.read(image(np.zeros(size[::-1], np.uint8), "PNG"), "a.png")


def test_transparent_pixels_become_white():
    file = io.BytesIO()
    Image.new("RGBA", (48, 48), (0, 0, 0, 0)).save(file, "PNG")
    assert (pictures.read(file.getvalue(), "a").face == 255).all()


# Tables


def listing(labels: str, n: int = 6, header: str = "label,pixels") -> bytes:
    rows = [
        f"{label},{' '.join(map(str, pixels(i + 50 * k).ravel()))}"
        for k, label in enumerate(labels.split())
        for i in range(n)
    ]
    return "\n".join([header, *rows]).encode()


def test_the_table_of_the_challenge_is_read_with_its_codes(tmp_path, prepare, capsys):
    rows = [
        row(e, u, i)
        for i, (e, u) in enumerate((e, u) for e in ("happy", "sad") for u in ("Training", "PublicTest", "PrivateTest"))
    ]
    (tmp_path / "x.csv").write_bytes(table([*rows, ",,", ",,"]))
    assert prepare(tmp_path / "x.csv") == {"happy": [1, 1, 1], "sad": [1, 1, 1]}
    assert "classes: 3 -> happy, 4 -> sad" in capsys.readouterr().out
    inside = {"a/icml_face_data.csv": table(rows), "a/train.csv": listing("3 4", header="emotion,pixels")}
    assert prepare(packed("tar.gz", tmp_path, inside), "--force") == {"happy": [1, 1, 1], "sad": [1, 1, 1]}
    nested = write_zip(tmp_path / "nested.zip", {"fer2013.tar.gz": tar_gz(("fer2013/fer2013.csv", table(rows)))})
    assert prepare(nested, "--force") == {"happy": [1, 1, 1], "sad": [1, 1, 1]}


def test_a_table_of_names_and_pixels_is_divided(tmp_path, prepare):
    (tmp_path / "x.csv").write_bytes(listing("Yawning calm"))
    assert prepare(tmp_path / "x.csv") == {"calm": [4, 1, 1], "yawning": [4, 1, 1]}


def test_two_tables_are_splits_by_their_names_and_one_without_labels_is_left_out(tmp_path, prepare, capsys):
    members = {"train.csv": listing("happy sad"), "val.csv": listing("happy sad", 3), "test.csv": b"pixels\n1 2 3 4\n"}
    assert prepare(write_folder(tmp_path / "x", members)) == {"happy": [5, 3, 1], "sad": [5, 3, 1]}
    assert "left out, tables without labels, or without pictures: 1 (test.csv)" in capsys.readouterr().out


def test_a_table_may_name_the_files_of_the_pictures(tmp_path, prepare):
    names = [f"pictures/{i}.png" for i in range(20)]
    rows = [f"{name},{'sad' if i % 2 else 'happy'}" for i, name in enumerate(names)]
    members = {**drawn(names), "labels.csv": "\n".join(["path,label", *rows]).encode()}
    assert prepare(packed("tar", tmp_path, members)) == {"happy": [8, 1, 1], "sad": [8, 1, 1]}


def test_numbers_as_labels_are_never_guessed(tmp_path, prepare):
    (tmp_path / "x.csv").write_bytes(listing("1 2"))
    with pytest.raises(PipelineError, match=r"'1' is no name of a class; .*--map 1=NAME"):
        prepare(tmp_path / "x.csv")
    assert prepare(tmp_path / "x.csv", "--map", "1=happy", "--map", "2=sad")["happy"] == [4, 1, 1]


# Names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Happy", "happy"),
        ("01_Sad", "sad"),
        ("3. Fear", "fear"),
        ("Not Sure", "not sure"),
        ("é-mu", "e-mu"),
        ("a&b", "a_b"),
    ],
)
def test_a_name_becomes_the_name_of_a_class(name, found):
    assert class_of(name) == found


def test_words_for_splits():
    words = (
        "Training",
        "train_set",
        "VALIDATION",
        "valid",
        "PublicTest",
        "public_test",
        "eval",
        "Test images",
        "trainer",
    )
    assert [split_of(word) for word in words] == ["train", "train", "val", "val", "val", "val", "test", "test", None]


def test_synonyms_can_be_kept_and_mapped(tmp_path, prepare, capsys):
    source = write_folder(tmp_path / "source", drawn(files("anger", "fearful")))
    assert set(prepare(source)) == {"angry", "fear"}
    assert "classes: anger -> angry, fearful -> fear" in capsys.readouterr().out
    assert set(prepare(source, "--force", "--keep-names")) == {"anger", "fearful"}
    assert set(prepare(source, "--force", "--map", "anger=rage")) == {"rage", "fear"}


def test_words_that_yaml_reads_otherwise_stay_names(tmp_path, own, prepare):
    assert set(prepare(write_folder(tmp_path / "source", drawn(files("yes", "no"))))) == {"no", "yes"}
    assert option(own).classes == ["no", "yes"]


# Splits


def test_equal_images_do_not_straddle_the_splits_that_are_drawn(tmp_path, own, prepare, capsys):
    members = drawn(files("happy", "sad", n=30))
    members |= {name.replace("/", "/copy"): content for name, content in members.items() if name[-5] in "02468"}
    prepare(write_folder(tmp_path / "source", members))
    where: dict[bytes, set[str]] = {}
    for face in faces(own):
        where.setdefault(face.pixels.tobytes(), set()).add(face.split)
    assert len(where) == 60
    assert all(len(found) == 1 for found in where.values())
    assert "equal images: 30 copies of others; 0 have two classes" in capsys.readouterr().out


def test_what_the_source_has_in_test_too_stays_in_train():
    images = [splits.Image("train", "a", bytes([i])) for i in range(10)] + [splits.Image("test", "a", b"\0")]
    for seed in range(20):
        assert splits.divide(images, {"val": 0.5}, seed)[0] == "train"


def test_equal_images_in_the_splits_of_the_source_are_counted_and_stay(tmp_path, prepare, capsys):
    members = drawn([f"{s}/{c}/{i}.png" for s in ("train", "val", "test") for c in ("happy", "sad") for i in "12"])
    members["test/sad/1.png"] = members["train/sad/1.png"]
    assert prepare(write_folder(tmp_path / "source", members)) == {"happy": [2, 2, 2], "sad": [2, 2, 2]}
    assert "equal images in two splits of the source: 1 test images also in train" in capsys.readouterr().out


# What is refused


@pytest.mark.parametrize(
    ("members", "arguments", "message"),
    [
        (drawn(files("happy")), (), "4 labelled pictures of one class (happy)"),
        ({"a.txt": b"x"}, (), "no labelled picture (1 with .txt); accepted: a folder of pictures for each class"),
        ({}, (), "no labelled picture (no file)"),
        ({"a.zip": b"x"}, (), "holds no pictures, and the archive a.zip; accepted: what is in that, unpacked"),
        (drawn(SPLIT), ("--name", "fer2013"), "--name fer2013; accepted"),
        (drawn(SPLIT), ("--name", "../x"), "--name ../x; accepted"),
        (drawn(SPLIT), ("--val-share", "1"), "accepted: above 0, and below 1 together"),
        (drawn(SPLIT), ("--test-share", "0.2"), "--test-share 0.2 has no effect: the source has test"),
        (drawn(SPLIT), ("--map", "smile=happy"), "--map smile: "),
        (drawn(SPLIT), ("--map", "happy=Very Happy"), "accepted: OLD=NEW"),
        (drawn(SPLIT), ("--inside", "nowhere"), "nowhere has no labelled picture"),
        (
            drawn(files("anger", "angry", "sad")),
            (),
            "'anger' and 'angry' are both the class angry; `--map angry=angry`",
        ),
        (
            drawn(files("Happy", "happy", "sad")),
            (),
            "are both the class happy; `--map happy=happy` makes them one, `--map happy=OTHER` keeps them apart",
        ),
        (drawn(files("happy", "sad")), ("--map", "sad=x", "--map", "sad=y"), "--map sad=y, after --map sad=x"),
        (
            dict.fromkeys(files("happy", "sad"), b"broken"),
            ("--skip-broken",),
            "no picture of happy, sad can be read; accepted: some of each class",
        ),
        (
            drawn(files("happy", "sad")) | dict.fromkeys(files("yawning"), b"broken"),
            ("--skip-broken",),
            "no picture of yawning can be read",
        ),
        ({"x.csv": listing("happy sad").split(b"\n", 1)[1]}, (), "x.csv does not begin with a line of column names"),
        (drawn(files("happy", "sad", n=2)), (), "the class happy has too few different images"),
        (drawn(files("test/happy", "test/sad")), (), "the source has images of test, and none of train"),
        (drawn(files("train/happy", "train/sad", "test/happy")), (), "no images of sad in test"),
        (drawn(SPLIT) | drawn(files("training/happy")), (), "train/ and training/ are both train"),
        (
            drawn(SPLIT) | {"train/sad/x.png": b"broken"},
            (),
            "train/sad/x.png is not a readable picture or video; --skip",
        ),
        (drawn(SPLIT) | {"train/sad/x.png": b""}, (), "--skip-broken leaves such files out"),
        ({"x.csv": listing("happy sad")[:-30] + b" 256"}, (), "x.csv, line 13: accepted as pixels"),
        ({"x.csv": listing("happy sad") + b"\nsad"}, (), "x.csv, line 14, has 1 cells; accepted: 2"),
        ({"a.csv": listing("happy sad"), "b.csv": listing("happy sad")}, (), "a.csv and b.csv are tables"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, own, prepare, members, arguments, message):
    source = tmp_path / "source"
    source.mkdir()
    before, given = state(own), state(write_folder(source, members))
    with pytest.raises(PipelineError) as caught:
        prepare(source, *arguments)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert (state(own), state(source)) == (before, given)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "this is an empty file"), (b"<html>", "this is no archive")],
)
def test_what_is_no_archive_is_refused(tmp_path, own, prepare, content, message):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        prepare(tmp_path / "x.zip")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_that_are_damaged_are_refused(tmp_path, own, prepare, kind):
    path = packed(kind, tmp_path, drawn(SPLIT))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = state(own)
    with pytest.raises(PipelineError, match=str(path)):
        prepare(path)
    assert state(own) == before


def test_unsafe_members_and_links_are_refused(tmp_path, own, prepare):
    with pytest.raises(PipelineError, match="unsafe member name"):
        prepare(write_zip(tmp_path / "x.zip", {"../x/1.png": image()}))
    link = tarfile.TarInfo("happy/1.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "x.tar.gz").write_bytes(tar_gz((link, b"")))
    with pytest.raises(PipelineError, match="is a link or a device"):
        prepare(tmp_path / "x.tar.gz")
    source = write_folder(tmp_path / "source", drawn(SPLIT))
    (source / "train/happy/link.png").symlink_to("/etc/passwd")
    with pytest.raises(PipelineError, match="is a link or a device"):
        prepare(source)


def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, own, prepare):
    bomb = Image.new("1", (12_000, 12_000))
    file = io.BytesIO()
    bomb.save(file, "PNG")
    with pytest.raises(PipelineError, match=r"12000 x 12000 pixels; accepted: at most 100,000,000"):
        prepare(write_zip(tmp_path / "x.zip", drawn(SPLIT) | {"train/sad/bomb.png": file.getvalue()}))


def test_broken_pictures_can_be_left_out_and_hidden_and_other_files_are(tmp_path, prepare, capsys):
    extras = [
        "train/sad/x.png",
        "__MACOSX/train/sad/._1.png",
        "train/.DS_Store",
        "train/sad/Thumbs.db",
        "notes.txt",
        "a.png",
    ]
    source = write_folder(tmp_path / "source", drawn(SPLIT) | dict.fromkeys(extras, b"x"))
    (source / "train/yawning").mkdir()
    assert prepare(source, "--skip-broken")
    printed = capsys.readouterr().out
    assert "left out, empty folders: 1 (train/yawning)" in printed
    assert "left out, broken: 1 (train/sad/x.png)" in printed
    assert "left out, no pictures: 1 (notes.txt)" in printed
    assert "left out, outside of the folders of the splits: 1 (a.png)" in printed


def test_a_dataset_of_the_name_is_not_replaced_without_force(tmp_path, own, prepare):
    source = write_folder(tmp_path / "source", drawn(SPLIT))
    write_folder(own, {"conf/data/mine.yaml": b"theirs"})
    before = state(own)
    with pytest.raises(PipelineError, match=r"mine.yaml exist; accepted: another --name, or --force"):
        prepare(source)
    assert state(own) == before
    prepare(source, "--force")


def test_names_of_folders_cannot_write_into_the_option(tmp_path, own, prepare):
    source = write_folder(tmp_path / "source", drawn([*SPLIT, "train/ha\nclasses: [x]/1.png"]))
    with pytest.raises(PipelineError, match="is no name that can be printed"):
        prepare(source)
    (tmp_path / "x.csv").write_bytes(listing("happy sad").replace(b"happy", b'"ha\nclasses: [x]"'))
    assert set(prepare(tmp_path / "x.csv")) == {"ha_classes_ _x", "sad"}


def test_a_dry_run_writes_nothing(tmp_path, own, capsys):
    before = state(own)
    main.__wrapped__([str(write_folder(tmp_path / "source", drawn(SPLIT))), "--name", "mine", "--dry-run"])
    assert state(own) == before
    assert "happy      5    1     2" in capsys.readouterr().out


def test_fer2013_itself_need_not_be_prepared(tmp_path, own, prepare):
    names = [f"{s}/{c}/{i}.png" for s in ("train", "val", "test") for c in ("angry", "happy") for i in "12"]
    counts = {"counts": {"angry": [2, 2, 2], "happy": [2, 2, 2]}}
    (own / "conf/data/fer2013.yaml").write_text(json.dumps(counts))
    with pytest.raises(PipelineError, match=r"pipeline.use data=fer2013.*FER2013_ARCHIVE="):
        prepare(write_folder(tmp_path / "source", drawn(names)))


def test_another_archive_than_the_recorded_one_is_refused_by_the_stage(tmp_path, own, prepare):
    prepare(write_folder(tmp_path / "source", drawn(SPLIT)))
    (own / "data/own/mine.zip").write_bytes(write_zip(tmp_path / "x.zip", drawn(SPLIT)).read_bytes())
    with pytest.raises(PipelineError) as caught:
        download(option(own), own / "data/raw/mine")
    message = str(caught.value)
    assert "is another file than data.sha256 names" in message
    assert "`python -m pipeline.prepare FOLDER_OR_ARCHIVE --name mine --force`" in message
    assert len(message.splitlines()) == 1
    assert not [*(own / "data/raw/mine").iterdir()]


# The stages


@pytest.mark.slow
def test_the_example_of_the_page_runs_from_the_pictures_to_the_report(project):
    page = (paths.ROOT / "docs/own-data.md").read_text()
    commands = re.search(r"## An example\n[^\n]*\n\n((?: {4}[^\n]+\n)+)", page)[1]
    printed = with_dvc(project).run("sh", "-ec", commands).stdout
    assert "classes: disgust -> contempt, fear -> yawning" in printed
    assert "  contempt      6    1     1\n" in printed
    report = project.path("results/report.html").read_text()
    assert "patch_cnn on mine" in report
    assert "52.43%" not in report
    details = json.loads(project.path("results/details.json").read_text())
    classes = ["angry", "contempt", "happy", "neutral", "sad", "surprise", "yawning"]
    assert list(details["test"]["emotions"]) == classes
    assert json.loads(project.path("results/run.json").read_text())["config"]["data"]["classes"] == classes
    project.stage("explain", "--data", "mine", "--model", "models/model.h5")


@pytest.mark.slow
def test_three_classes_are_trained_swept_and_used(project):
    source = write_folder(project.path("own"), drawn(files("Contempt", "yawning", "Happiness", n=16), 100, colour=True))
    project.stage("prepare", str(source), "--name", "mine")
    for stage in ("download", "preprocess"):
        project.stage(stage, "data=mine")
    project.stage("train", "-m", "data=mine", "model=linear", "seed=1,2")
    (sweep,) = project.path("multirun").iterdir()
    assert re.search(r"\| 1 \|[^|]*\| 2 +\|", project.stage("compare", sweep.name).stdout)
    project.stage("use", "data=mine", "model=linear")
    for stage in ("preprocess", "train", "evaluate"):
        project.stage(stage)
    details = json.loads(project.path("results/details.json").read_text())
    counts = {name: row["images"] for name, row in details["test"]["emotions"].items()}
    assert counts == {"contempt": 2, "happy": 2, "yawning": 2}
    predicted = project.stage("predict", str(source / "yawning/1.png"), "--whole", "--model", "models/model.h5")
    assert "models/model.h5: contempt, happy, yawning" in predicted.stderr
    project.stage("prepare", str(source), "--name", "mine", "--seed", "1", "--force")
    stale = project.stage("train", "data=mine", check=False).stderr
    assert "was made with a different data.sha256" in stale
    refused = project.stage("train", "data=mine", "data.classes=[contempt,smile]", check=False)
    assert "accepted: 'contempt', 'happy', 'yawning'" in refused.stderr


def test_an_older_download_is_not_taken_for_the_dataset_prepared_since(tmp_path, own, prepare):
    source = write_folder(tmp_path / "given", drawn(files("happy", "sad", n=20)))
    prepare(source)
    download(option(own), own / "data/raw/mine")
    prepare(source, "--force", "--seed", "9")
    with pytest.raises(PipelineError, match=r"another file than data\.sha256 names"):
        preprocess(option(own), paths.Outputs(own))
    download(option(own), own / "data/raw/mine")
    preprocess(option(own), paths.Outputs(own))


@pytest.mark.parametrize("name", ["null", "true", "no", "123", "1e5", "fer2013", "A", "a b"])
def test_a_name_that_is_no_option_is_refused(tmp_path, own, name):
    source = write_folder(tmp_path / "given", drawn(files("happy", "sad", n=20)))
    with pytest.raises(PipelineError, match="a letter first"):
        main.__wrapped__([str(source), "--name", name])
    assert not (own / "data").exists()


def test_a_column_of_emotions_has_the_challenges_codes_in_a_table_of_files_too(tmp_path, own, prepare):
    listing = "file,emotion\n" + "".join(f"{i}.png,{3 + i % 2}\n" for i in range(20))
    source = write_folder(tmp_path / "given", drawn(files("all", n=20)) | {"labels.csv": listing.encode()})
    assert set(prepare(source)) == {"happy", "sad"}
