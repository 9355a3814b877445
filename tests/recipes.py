"""Settings of a training, for tests that change a few of them."""

from pipeline.core.schema import Augment, Teacher

AS_THEY_ARE = Augment(mirror=False, rotation=0.0, zoom=0.0, shift=0.0, mixup=0.0, cutmix=0.0, erase=0.0)
NO_TEACHER = Teacher(networks={}, share=0.0)


def changed_by(**changes: float | bool) -> Augment:
    """Return an augmentation that does what is named, and nothing else."""
    return Augment(**{**AS_THEY_ARE.model_dump(), **changes})


AFFINE = changed_by(mirror=True, rotation=10.0, zoom=0.1, shift=0.1)
