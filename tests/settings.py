"""Settings of a training, for tests that change a few of them."""

from pipeline.core.schema import Augment, Teacher

NUMBERS = ("rotation", "zoom", "shift", "mixup", "cutmix", "erase", "blur", "noise", "jpeg", "light")
AS_THEY_ARE = Augment(flip=False, interpolation="bilinear", **dict.fromkeys(NUMBERS, 0.0))
NO_TEACHER = Teacher(models={}, share=0.0, flip=False)


def changed_by(**changes: float | bool | str) -> Augment:
    """Return an augmentation that does what is named, and nothing else."""
    return Augment(**{**AS_THEY_ARE.model_dump(), **changes})


AFFINE = changed_by(flip=True, rotation=10.0, zoom=0.1, shift=0.1)
TRAIN = {
    "epochs": 1,
    "batch_size": 16,
    "label_smoothing": 0.0,
    "class_weight": "none",
    "precision": "float32",
    "patience": None,
    "restore_best": False,
    "init": None,
    "freeze": 0,
}
