"""The keys of the configuration, their types and their bounds."""

from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from pipeline.core import paths
from pipeline.core.constants import EMOTIONS
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

Emotion = Literal[EMOTIONS]  # type: ignore[valid-type]


class Data(Section):
    """A data set: where it comes from, and what must be found in it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    sources: Annotated[list[Literal["archive", "environment", "kaggle", "synthetic"]], Field(min_length=1)]
    archive: str | None = None
    kaggle: Annotated[str, Field(pattern=r"^[^/]+/[^/]+/versions/[0-9]+$")] | None = None
    classes: Annotated[list[Emotion], Field(min_length=2)]
    counts: dict[Emotion, Annotated[list[Count], Field(min_length=3, max_length=3)]]
    synthetic_seed: Count | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes {self.classes} names an emotion twice")
        if missing := [c for c in self.classes if not all(self.counts.get(c, [0]))]:
            raise ValueError(f"counts has no images for {', '.join(missing)}, which classes names")
        if "kaggle" in self.sources and self.kaggle is None:
            raise ValueError("sources names kaggle, and the key kaggle says no data set: owner/name/versions/1")
        if "synthetic" in self.sources and self.synthetic_seed is None:
            raise ValueError("sources names synthetic, and synthetic_seed is not set: a whole number from 0 up")
        return self


class Augment(Section):
    """Random changes of a training image: degrees, shares of its size, and shares of the images."""

    flip: bool
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Share
    shift: Share
    interpolation: Literal["bilinear", "bicubic"]
    mixup: Portion
    cutmix: Portion
    erase: Portion

    @model_validator(mode="after")
    def _one_each(self) -> "Augment":
        if self.mixup + self.cutmix + self.erase > 1:
            raise ValueError(
                f"mixup, cutmix and erase are {self.mixup}, {self.cutmix} and {self.erase}; accepted: shares of the "
                "images, each of which gets one of them at most, so together at most 1"
            )
        return self


class Adam(Section):
    """keras.optimizers.Adam."""

    name: Literal["adam"]
    learning_rate: PositiveFloat
    beta_1: Share
    beta_2: Share


class AdamW(Section):
    """keras.optimizers.AdamW: each step takes weight_decay times the learning rate off every kernel."""

    name: Literal["adamw"]
    learning_rate: PositiveFloat
    beta_1: Share
    beta_2: Share
    weight_decay: NotNegative


class Muon(Section):
    """pipeline/train/muon.py."""

    name: Literal["muon"]
    learning_rate: PositiveFloat
    momentum: Share
    weight_decay: NotNegative


class Sgd(Section):
    """keras.optimizers.SGD with Nesterov's momentum."""

    name: Literal["sgd"]
    learning_rate: PositiveFloat
    momentum: Share
    weight_decay: NotNegative


Optimizer = Adam | AdamW | Muon | Sgd


class Constant(Section):
    """One learning rate from the first step to the last."""

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
    """Where MLflow keeps the runs; `uri` null is the checkout's own mlruns/."""

    uri: Annotated[str, Field(pattern=r"^(https?|sqlite|postgresql|mysql)\S*://")] | None
    experiment: Annotated[str, Field(min_length=1)]


class Train(Section):
    """The training's length, batches and targets; restore_best keeps the epoch of highest val accuracy."""

    epochs: PositiveInt
    batch_size: PositiveInt
    label_smoothing: Share
    restore_best: bool


class Evaluate(Section):
    """What evaluate shows and times, in images, and what it scores besides: test-time augmentation, an ensemble."""

    flip_tta: bool
    ensemble: PinnedFiles
    inspect: PositiveInt
    mistakes: PositiveInt
    latency_runs: PositiveInt


def model_options(model: Any) -> type[Architecture]:
    """Return the class of the options of the architecture that the section `model` names.

    It is found by the name, so that a new architecture is an option of conf/model/, a module of pipeline/models/, and
    nothing else. Raises ValueError if there is none.
    """
    names = sorted(path.stem for path in (paths.CONF / "model").glob("*.yaml"))
    name = model.get("name") if isinstance(model, dict) else model
    if name not in names:
        raise ValueError(f"name is {name!r}; accepted: {', '.join(names)}")
    return import_module(f"pipeline.models.{name}").Options


class TrainingData(Section):
    """The dataset of a training, and the classes in the order of the model's outputs."""

    name: str
    classes: Annotated[list[Emotion], Field(min_length=2)]


class TrainingSections(Section):
    """The settings that decide the weights of a training, but for the data."""

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
