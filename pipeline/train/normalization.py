"""Batch normalization as one operation: faster than Keras' own, with the same result."""

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """keras.layers.BatchNormalization of (n, h, w, c) images over their last axis, computed by one kernel in training.

    Keras uses some ten operations, each of which reads and writes the whole batch.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Return the normalized batch, and in training update the moving averages, unless the layer is frozen."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel divides by n - 1, Keras by n.
        n = tf.cast(tf.size(inputs) / tf.size(mean), variance.dtype)
        for average, found in ((self.moving_mean, mean), (self.moving_variance, variance * (n - 1) / n)):
            average.assign(average * self.momentum + found * (1 - self.momentum))
        return outputs


def fused(layer: keras.Layer, policy: str | None = None) -> keras.Layer:
    """Return a copy of `layer` with weights of its own, fused if possible, and with Keras' dtype `policy`.

    Batch normalization computes in float32 in any case.
    """
    kind = FusedBatchNormalization if _fusable(layer) else type(layer)
    config = layer.get_config()
    if policy:
        config |= {"dtype": policy, "autocast": not isinstance(layer, keras.layers.BatchNormalization)}
    return kind.from_config(config)


def _fusable(layer: keras.Layer) -> bool:
    default = type(layer) is keras.layers.BatchNormalization and layer.center and layer.scale and not layer.synchronized
    return default and len(layer.input.shape) == 4 and layer.axis in (-1, 3)
