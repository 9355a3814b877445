"""Which keys the configuration has, of which type, and what they may be."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SPLITS = ("train", "val", "test")
IMAGE_SIZE = 48
"""Pixels along each side of an image; images are grey, 8 bits."""

Emotion = Literal[EMOTIONS]
Count = Annotated[int, Field(ge=0)]
Portion = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Widths = Annotated[list[PositiveInt], Field(min_length=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A section whose keys are exactly those declared, of exactly the declared types, and read-only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(Section):
    """A data set: where it comes from, and what must be found in it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    sources: Annotated[list[Literal["archive", "environment", "kaggle", "faces"]], Field(min_length=1)]
    archive: str | None = None
    kaggle: Annotated[str, Field(pattern=r"^[^/]+/[^/]+/versions/[0-9]+$")] | None = None
    classes: Annotated[list[Emotion], Field(min_length=2)]
    counts: dict[Emotion, Annotated[list[Count], Field(min_length=3, max_length=3)]]
    draw_seed: Count | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes {self.classes} names an emotion twice")
        if missing := [c for c in self.classes if not all(self.counts.get(c, [0]))]:
            raise ValueError(f"counts has no images for {', '.join(missing)}, which classes names")
        if "kaggle" in self.sources and self.kaggle is None:
            raise ValueError("sources names kaggle, and the key kaggle says no data set: owner/name/versions/1")
        if "faces" in self.sources and self.draw_seed is None:
            raise ValueError("sources names faces, and draw_seed is not set: a whole number from 0 up")
        return self


class Augment(Section):
    """Random changes of a training image: degrees, shares of its size, and shares of the images."""

    mirror: bool
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


class SeedCnn(Section):
    """pipeline/models/seed_cnn.py."""

    name: Literal["seed_cnn"]
    filters: PositiveInt
    dense: Widths
    dropout: Share


class Linear(Section):
    """pipeline/models/linear.py."""

    name: Literal["linear"]


class PatchCnn(Section):
    """pipeline/models/patch_cnn.py."""

    name: Literal["patch_cnn"]
    crop: Annotated[int, Field(ge=0, lt=IMAGE_SIZE // 2)]
    patch: PositiveInt
    widths: Widths
    depth: PositiveInt
    head: Literal["flat", "mean"]
    dropout: Share

    @model_validator(mode="after")
    def _fits(self) -> "PatchCnn":
        if (rest := IMAGE_SIZE - 2 * self.crop) % self.patch:
            raise ValueError(f"patch is {self.patch}; accepted: a divisor of {rest}, the pixels that crop leaves of 48")
        if rest // self.patch < 2 ** (len(self.widths) - 1):
            raise ValueError(
                f"widths has {len(self.widths)} numbers; accepted: at most {(rest // self.patch).bit_length()} "
                f"on {rest // self.patch} patches, which are halved between them"
            )
        return self


class MiniXception(Section):
    """pipeline/models/mini_xception.py."""

    name: Literal["mini_xception"]
    stem: PositiveInt
    widths: Widths


class Resnet(Section):
    """pipeline/models/resnet.py."""

    name: Literal["resnet"]
    widths: Widths
    blocks: PositiveInt


class Vgg(Section):
    """pipeline/models/vgg.py: five poolings at most leave something of 48 pixels."""

    name: Literal["vgg"]
    widths: Annotated[Widths, Field(max_length=5)]
    depth: PositiveInt
    dense: PositiveInt
    dropout: Share


Model = SeedCnn | Linear | PatchCnn | MiniXception | Resnet | Vgg


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


Networks = dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
""".h5 files of this checkout, and the SHA-256 of each."""


class Teacher(Section):
    """Trained networks (.h5 files and their SHA-256): what they say of an augmented image is a `share` of its label.

    `mirror`: they say the mean of what they find in it and in its mirror image.
    """

    networks: Networks
    share: Portion
    mirror: bool

    @model_validator(mode="after")
    def _both_or_none(self) -> "Teacher":
        if bool(self.networks) != (self.share > 0):
            raise ValueError(
                f"share is {self.share} and networks has {len(self.networks)}; accepted: a share above 0 of one "
                "network or more, or neither"
            )
        return self


class Tracking(Section):
    """Where MLflow keeps the runs: `uri` null is this checkout's mlruns/."""

    uri: Annotated[str, Field(pattern=r"^(https?|sqlite|postgresql|mysql)\S*://")] | None
    experiment: Annotated[str, Field(min_length=1)]


class Train(Section):
    """The training's length, batches and targets."""

    epochs: PositiveInt
    batch_size: PositiveInt
    label_smoothing: Share
    keep: Literal["best", "last"]


class Evaluate(Section):
    """What evaluate shows and times, in images, and which means it scores besides: mirror images, `ensemble`."""

    mirror: bool
    ensemble: Networks
    inspect: PositiveInt
    mistakes: PositiveInt
    latency_runs: PositiveInt


class Config(Section):
    """The whole composed configuration."""

    data: Data
    augment: Augment
    model: Annotated[Model, Field(discriminator="name")]
    optimizer: Annotated[Optimizer, Field(discriminator="name")]
    schedule: Annotated[Schedule, Field(discriminator="name")]
    teacher: Teacher
    tracking: Tracking
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    train: Train
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
