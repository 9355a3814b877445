"""The schema of the configuration: keys, types and bounds."""

import re
from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, field_validator, model_validator

from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
from pipeline.core.redact import redact
from pipeline.core.section import (
    Architecture,
    Count,
    NotNegative,
    Portion,
    PositiveFloat,
    PositiveInt,
    Section,
    Share,
)


def _class_name(name: str) -> str:
    if not re.fullmatch(r"[a-z](?:[a-z0-9_ -]{0,38}[a-z0-9])?", name):
        raise ValueError("accepted: small letters, digits, -, _ and spaces, at most 40, a letter first")
    return name


ClassName = Annotated[str, AfterValidator(_class_name)]
"""The name of a class, which is the name of a folder in its archive."""


MOST_CLASSES = 256
"""Classes of a dataset: labels have 8 bits."""


class Data(Section):
    """The dataset: its sources, the classes to train on, and the number of images it must have.

    With `sha256`, only the archive with this digest is accepted.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    sources: Annotated[list[Literal["archive", "environment", "kaggle", "synthetic"]], Field(min_length=1)]
    archive: str | None = None
    kaggle: Annotated[str, Field(pattern=r"^[^/]+/[^/]+/versions/[0-9]+$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    classes: Annotated[list[ClassName], Field(min_length=2)]
    counts: dict[ClassName, Annotated[list[Count], Field(min_length=3, max_length=3)]]
    synthetic_seed: Count | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes {self.classes} names a class twice")
        if len(self.counts) > MOST_CLASSES:
            raise ValueError(f"counts has {len(self.counts)} classes; accepted: at most {MOST_CLASSES}")
        if unknown := [c for c in self.classes if c not in self.counts]:
            known = ", ".join(map(repr, self.counts))
            raise ValueError(f"classes has {unknown[0]!r}, and counts has not; accepted: {known}")
        if missing := [c for c in self.classes if not all(self.counts[c])]:
            raise ValueError(
                f"counts has no images for {', '.join(missing)}; accepted: some of each class in each split"
            )
        if "kaggle" in self.sources and self.kaggle is None:
            raise ValueError("sources has kaggle, and kaggle is not set; accepted: owner/name/versions/1")
        if "synthetic" in self.sources and self.synthetic_seed is None:
            raise ValueError("sources has synthetic, and synthetic_seed is not set; accepted: an integer from 0 up")
        if "synthetic" in self.sources and (other := set(self.counts) - set(EMOTIONS)):
            raise ValueError(f"counts has {min(other)!r}, which cannot be drawn; accepted: {', '.join(EMOTIONS)}")
        return self


class Augment(Section):
    """Random augmentation: `rotation` in degrees, `zoom` and `shift` as shares of the size, others of images."""

    flip: bool
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Share
    shift: Share
    interpolation: Literal["bilinear", "bicubic"]
    mixup: Portion
    cutmix: Portion
    erase: Portion
    blur: Portion = 0.0
    noise: Portion = 0.0
    jpeg: Portion = 0.0
    light: Portion = 0.0

    @model_validator(mode="after")
    def _one_each(self) -> "Augment":
        if self.mixup + self.cutmix > 1:
            raise ValueError(
                f"mixup and cutmix are {self.mixup} and {self.cutmix}; accepted: shares of the images, at most 1 "
                "together, because each image gets at most one of them"
            )
        return self


class Adam(Section):
    """keras.optimizers.Adam."""

    name: Literal["adam"]
    learning_rate: PositiveFloat
    clip_norm: PositiveFloat | None
    beta_1: Share
    beta_2: Share


class AdamW(Section):
    """keras.optimizers.AdamW: each step reduces every kernel by the share weight_decay times the learning rate."""

    name: Literal["adamw"]
    learning_rate: PositiveFloat
    clip_norm: PositiveFloat | None
    beta_1: Share
    beta_2: Share
    weight_decay: NotNegative


class Muon(Section):
    """pipeline/train/muon.py."""

    name: Literal["muon"]
    learning_rate: PositiveFloat
    clip_norm: PositiveFloat | None
    momentum: Share
    weight_decay: NotNegative


class Sgd(Section):
    """keras.optimizers.SGD with Nesterov's momentum."""

    name: Literal["sgd"]
    learning_rate: PositiveFloat
    clip_norm: PositiveFloat | None
    momentum: Share
    weight_decay: NotNegative


Optimizer = Adam | AdamW | Muon | Sgd


class Constant(Section):
    """The same learning rate in all steps."""

    name: Literal["constant"]


class Cosine(Section):
    """keras.optimizers.schedules.CosineDecay; `warmup` is the share of all steps in which the rate rises from 0."""

    name: Literal["cosine"]
    warmup: Share


Schedule = Constant | Cosine


PinnedFiles = dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
"""Paths of .h5 files, relative to the checkout, and the SHA-256 of each."""


class Teacher(Section):
    """Distillation: the teachers' predictions of an augmented image make up a `share` of its target.

    With `flip` they are the mean of the predictions of the image and of its horizontal flip.
    """

    models: PinnedFiles
    share: Portion
    flip: bool

    @model_validator(mode="after")
    def _both_or_none(self) -> "Teacher":
        if bool(self.models) != (self.share > 0):
            raise ValueError(
                f"share is {self.share} and models has {len(self.models)}; accepted: a share above 0 and one model "
                "or more, or neither"
            )
        return self


class Tracking(Section):
    """The MLflow store and experiment of the runs; with `uri` null, the store is mlruns/ in the checkout."""

    uri: Annotated[str, Field(pattern=r"^(https?|sqlite|postgresql|mysql)\S*://")] | None
    experiment: Annotated[str, Field(min_length=1)]

    @property
    def pages(self) -> str | None:
        """Return the address of the server's UI; None without a server, or if the address holds a password."""
        uri = self.uri or ""
        return uri.rstrip("/") if uri.startswith("http") and redact(uri) == uri else None


def _initial_model(name: str) -> str:
    if not re.fullmatch(r"([^#:]+\.h5|runs:/[^#]+|models:/[^#]+)(#sha256=[0-9a-f]{64})?", name):
        accepted = "FILE.h5, runs:/RUN_ID, models:/NAME@ALIAS or models:/NAME/VERSION"
        raise ValueError(f"accepted: {accepted}; #sha256= and the SHA-256 of the .h5 file may follow")
    return name


class Train(Section):
    """Length, batches, targets and start of training; `restore_best` saves the epoch with the highest val accuracy.

    `patience` is in epochs. `freeze` is the number of first layers with weights that are not trained.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    label_smoothing: Share
    class_weight: Literal["none", "balanced", "effective"]
    precision: Literal["float32", "bfloat16"]
    patience: PositiveInt | None
    restore_best: bool
    init: Annotated[str, AfterValidator(_initial_model)] | None
    freeze: Count

    @model_validator(mode="after")
    def _trained_weights_are_frozen(self) -> "Train":
        if self.freeze and not self.init:
            raise ValueError(
                f"freeze is {self.freeze} and init null; accepted: 0, or init with a trained model, because weights "
                "that are not trained must come from one"
            )
        return self


class Evaluate(Section):
    """Settings of evaluate: additional scores (test-time augmentation, an ensemble), and numbers of images."""

    flip_tta: bool
    ensemble: PinnedFiles
    inspect: PositiveInt
    mistakes: PositiveInt
    corrupted_images: PositiveInt
    latency_runs: PositiveInt


def model_options(model: Any) -> type[Architecture]:
    """Return the class `Options` of the architecture in the section `model`.

    The name of the architecture is the name of its file in conf/model/ and of its module in pipeline/models/. Raises
    ValueError if there is no such file.
    """
    names = sorted(path.stem for path in (paths.CONF / "model").glob("*.yaml"))
    name = model.get("name") if isinstance(model, dict) else model
    if name not in names:
        raise ValueError(f"name is {name!r}; accepted: {', '.join(names)}")
    return import_module(f"pipeline.models.{name}").Options


class TrainingData(Section):
    """The name of the dataset, and the classes in the order of the model's outputs."""

    name: str
    classes: Annotated[list[ClassName], Field(min_length=2)]


class TrainingSections(Section):
    """The settings that decide the weights, without the dataset."""

    model: SerializeAsAny[Architecture]
    augment: Augment
    optimizer: Annotated[Optimizer, Field(discriminator="name")]
    schedule: Annotated[Schedule, Field(discriminator="name")]
    teacher: Teacher
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    train: Train

    @field_validator("model", mode="before")
    @classmethod
    def _typed(cls, model: Any) -> Any:
        return model_options(model).model_validate(model) if isinstance(model, dict) else model


class TrainingConfig(TrainingSections):
    """All settings that decide the weights of a training, as they are saved with the run and read back."""

    data: TrainingData


class Config(TrainingSections):
    """The whole composed configuration."""

    data: Data
    tracking: Tracking
    evaluate: Evaluate

    @model_validator(mode="after")
    def _batch_fits(self) -> "Config":
        images = sum(self.data.counts[c][0] for c in self.data.classes)
        if self.train.batch_size > images:
            raise ValueError(
                f"train.batch_size is {self.train.batch_size}; accepted: 1 to {images}, "
                f"the training images of {self.data.name}"
            )
        return self

    @property
    def training(self) -> TrainingConfig:
        """Return the settings that decide the weights."""
        sections = {name: getattr(self, name) for name in TrainingSections.model_fields}
        return TrainingConfig(data=TrainingData(name=self.data.name, classes=self.data.classes), **sections)
