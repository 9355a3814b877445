"""Data-parallel training: several devices share each batch.

Batch normalization sees only the share of its device, as is usual.
"""

import math

import keras
import tensorflow as tf


def gpus() -> tuple[str, ...]:
    """Return the names of the GPUs that this process may use: all, or those that CUDA_VISIBLE_DEVICES names."""
    return tuple(gpu.name for gpu in tf.config.list_logical_devices("GPU"))


def chosen(devices: tuple[str, ...], *splits: tuple[int, int]) -> tuple[str, ...]:
    """Return as many of `devices` as can share every batch with no device left without an image.

    `splits` holds the number of images and the batch size of each. A device without images must not be: some
    kernels of TensorFlow end the process.
    """
    sizes = {size for images, batch in splits for size in (min(images, batch), images % batch or batch)}
    # TensorFlow hands out ceil(size / n) images to one device after the other.
    fitting = (n for n in range(len(devices), 1, -1) if all(size > (n - 1) * math.ceil(size / n) for size in sizes))
    return devices[: next(fitting, 1)]


def even(images: int, most: int) -> int:
    """Return the batch size, at most `most`, that leaves the last of all batches about as large as the others."""
    return math.ceil(images / math.ceil(images / most))


def strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy | None:
    """Return what trains one network on all of `devices` (names); None where there are fewer than two."""
    # Adding on one device, in one order, is repeatable. Collective operations mix up two strategies of a process.
    return Strategy(devices, tf.distribute.ReductionToOneDevice()) if len(devices) > 1 else None


class Strategy(tf.distribute.MirroredStrategy):
    """A copy of the network on each device, whose shares of a batch may differ in size.

    Keras takes the mean of the first batch over the devices, to learn its shape: that needs equal shares.
    """

    def reduce(self, reduce_op: str | tf.distribute.ReduceOp, value, axis: int | None):
        """Return the first share in place of Keras' mean, which it names by a string; all else as it was."""
        if reduce_op == "MEAN":
            return tf.nest.map_structure(lambda shares: self.experimental_local_results(shares)[0], value)
        return super().reduce(reduce_op, value, axis)


class Loss(keras.losses.CategoricalCrossentropy):
    """Categorical cross-entropy whose gradients add up to that of the mean over the whole batch.

    Keras adds the devices' means with equal weights, whatever their shares of the batch. The value stays as it
    is: Keras' history counts the images.
    """

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
        """Return the mean loss of a device's images, divided by the number of devices."""
        loss = super().__call__(y_true, y_pred, sample_weight)
        device = tf.distribute.get_replica_context()
        if device is None:  # no data yet: Keras builds the network
            return loss
        images = tf.cast(tf.shape(y_pred)[0], loss.dtype)
        mean = device.all_reduce(tf.distribute.ReduceOp.SUM, images) / device.num_replicas_in_sync
        weighted = loss * images / mean
        return weighted + tf.stop_gradient(loss - weighted)
