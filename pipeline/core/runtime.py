"""TensorFlow's settings for a whole process."""

import logging
import os


def configure(threads: int | None = None) -> None:
    """Set what must be set before TensorFlow is imported: quiet start, fast convolutions.

    `threads` is the number of threads for computing; None is one per core.
    """
    if threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # By default TensorFlow uses oneDNN only on the newest processors; it is faster on older ones too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def deterministic(seed: int) -> None:
    """Seed every generator, and make TensorFlow's operations deterministic.

    Forgets earlier models of this process first: their number is part of the names of later layers.
    """
    import keras
    import tensorflow as tf

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
