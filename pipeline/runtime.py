"""TensorFlow's settings for a whole process."""

import ctypes
import logging
import os

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2  # of mallopt(3)


def quiet() -> None:
    """Keep the libraries' start-up messages off the terminal; errors still show. Call it before they are imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("absl").setLevel(logging.ERROR)


def keep_freed_memory() -> None:
    """Tell glibc to keep the memory that is freed, where glibc there is.

    A training step frees and allocates tensors of some 20 MB again and again. By default these go back to the
    kernel, which fills them with zeros anew: up to a third of the time of a step. benchmarks/ has the figures.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**26)


def deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow use only operations that give the same bits each time."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
