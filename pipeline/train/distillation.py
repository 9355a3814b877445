"""Distillation: networks that teach another one what they see in the images that it is trained on."""

from collections.abc import Callable

import keras
import tensorflow as tf

from pipeline.core.schema import Teacher
from pipeline.models import saved

Teach = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Takes (n, 48, 48, 1) images and their (n, k) labels, and returns the (n, k) labels that are to be learned."""


class Student(keras.Model):
    """A network in training whose teachers see each image as it does: augmented, in the same way.

    Source: Hinton et al. 2015, arXiv:1503.02531, of which the temperature is 1 here; the same view for both, Beyer et
    al. 2022, arXiv:2106.05237. Accuracy and the loss on val are those of the labels alone.
    """

    def __init__(self, network: keras.Sequential, teach: Teach):
        """Take over the layers of `network`."""
        super().__init__(network.inputs, network.outputs, name=network.name)
        self.teach = teach

    def compute_loss(
        self,
        x: tf.Tensor | None = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Return the loss against the labels, in training those of `teach`."""
        return super().compute_loss(x, self.teach(x, y) if training else y, y_pred, sample_weight, training)


def teach(teacher: Teacher, classes: list[str]) -> Teach:
    """Return what blends labels with the mean of what the networks of `teacher` say of `classes`, by its share."""
    networks = saved.load_pinned(teacher.networks, classes)

    def blend(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        seen = [images, images[:, :, ::-1]] if teacher.mirror else [images]
        said = sum(network(view, training=False) for network in networks for view in seen) / len(networks) / len(seen)
        return (1 - teacher.share) * labels + teacher.share * tf.stop_gradient(said)

    return blend
