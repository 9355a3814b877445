"""TensorFlow's settings for a whole process."""

import logging
import os


def quiet() -> None:
    """Keep the libraries' start-up messages off the terminal; errors still show. Call it before they are imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("absl").setLevel(logging.ERROR)


def deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow use only operations that give the same bits each time."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
