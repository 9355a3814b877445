"""Distillation: a student learns the predictions of its teachers on the images that it is trained on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from pipeline.core.schema import Teacher

Targets = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From (n, 48, 48, 1) images and their (n, k) labels to the (n, k) targets of the loss."""


class Student(keras.Model):  # type: ignore[misc]
    """A model in training whose teachers see each image as it does, augmented in the same way, but never corrupted.

    Source: Hinton et al. 2015, arXiv:1503.02531, with a temperature of 1; the same view for both: Beyer et al. 2022,
    arXiv:2106.05237; noise for the student alone: Xie et al. 2020, arXiv:1911.04252. Accuracy and val loss are computed
    from the labels alone.
    """

    def __init__(self, model: keras.Model, targets: Targets):
        """Take over the layers of `model`."""
        super().__init__(model.inputs, model.outputs, name=model.name)
        self.targets = targets

    def train_step(self, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
        """Train on a batch of images, or of pairs: images for the student, and the same ones for the teachers."""
        images, *rest = data
        images, self.seen = images if isinstance(images, tuple) else (images, images)
        return super().train_step((images, *rest))

    def compute_loss(
        self,
        x: tf.Tensor | None = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Return the loss against the labels, in training against `targets`."""
        return super().compute_loss(x, self.targets(self.seen, y) if training else y, y_pred, sample_weight, training)


def soft_targets(teacher: "Teacher", teachers: list[keras.Model]) -> Targets:
    """Return the function that blends labels with the mean prediction of the `teachers`, by the share of `teacher`."""

    def blend(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        views = [images, images[:, :, ::-1]] if teacher.flip else [images]
        predicted = sum(model(view, training=False) for model in teachers for view in views)
        predicted = predicted / len(teachers) / len(views)
        return (1 - teacher.share) * labels + teacher.share * tf.stop_gradient(predicted)

    return blend
