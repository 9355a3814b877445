"""TensorFlow's settings for a whole process, and its start."""

import logging
import os
import subprocess
import sys
from pathlib import Path

_QUIETER = r"""
import re, sys
for line in sys.stdin.buffer:
    if not re.match(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog|\s*$", line):
        sys.stderr.buffer.write(line)
"""
"""Leaves out the lines of information that TensorFlow prints at each import; no setting of this version does."""


def configure(threads: int | None = None) -> None:
    """Set what must be set before TensorFlow is imported: few messages, fast convolutions.

    `threads` is the number of threads for computing; None is one per core.
    """
    if threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    # Where there is a GPU, TensorFlow's warnings say why it cannot be used; elsewhere it reports the missing driver.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if _has_gpu() else "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # By default TensorFlow uses oneDNN only on the newest processors; it is faster on older ones too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def load_tensorflow() -> None:
    """Import TensorFlow without the information that it prints; its warnings and errors are printed.

    On a GPU, TensorFlow takes memory as it needs it, and not all of it at the start.
    """
    if "tensorflow" in sys.modules:
        return
    configure()
    stderr = os.dup(2)
    # A process of its own prints the lines even if TensorFlow aborts this one, as it does on a CPU that it cannot use.
    with subprocess.Popen([sys.executable, "-ISc", _QUIETER], stdin=subprocess.PIPE) as quieter:
        assert quieter.stdin
        os.dup2(quieter.stdin.fileno(), 2)  # the lines come from C++, not from sys.stderr
        try:
            import tensorflow as tf
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def gpu() -> str | None:
    """Return the name of the GPU that computes, the first one that TensorFlow can use; None is the CPU."""
    import tensorflow as tf

    if not (gpus := tf.config.list_physical_devices("GPU")):
        return None
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))


def _has_gpu() -> bool:
    """Return whether this machine has a driver for NVIDIA's GPUs, on Linux or WSL, and it is not hidden by choice."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev", name).exists() for name in ("nvidiactl", "dxg"))


def deterministic(seed: int) -> None:
    """Seed every generator, and make TensorFlow's operations deterministic.

    Forgets the names of earlier models of this process first: their number is part of the names of later layers.
    """
    import keras
    import tensorflow as tf

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
