"""TensorFlow's settings for a whole process."""

import ctypes
import logging
import os

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2  # of mallopt(3)


def configure(threads: int | None = None) -> None:
    """Set what must be set before TensorFlow is imported: quiet start, fast convolutions, memory that is kept.

    `threads` is how many this process may compute with, where others share the machine; None is one a core.
    """
    if threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # TensorFlow uses oneDNN of its own accord on the newest processors alone; it is faster on older ones too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Tell glibc, where there is one, to keep the memory that is freed.

    A training step frees and allocates tensors of some 20 MB again and again. By default these may go back to
    the kernel, which fills them with zeros anew: page faults, how many depends on the state of the heap.
    benchmarks/settings.py counts them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**26)


def deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow use only operations that give the same bits each time.

    Forgets earlier networks of this process first, whose number stands in the names of later layers.
    """
    import keras
    import tensorflow as tf

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
