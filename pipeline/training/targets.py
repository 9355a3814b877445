"""What a network is to say of each training image: its label, smoothed, and what other networks say of it."""

import hashlib

import numpy as np

from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.core.schema import Teacher
from pipeline.data.arrays import Split
from pipeline.evaluation import scoring
from pipeline.training import saved


def targets(split: Split, classes: int, smoothing: float, teacher: Teacher) -> np.ndarray:
    """Return (n, k) float32 probabilities, with which cross-entropy compares what the network says.

    A share of `smoothing` of each label is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567); here, and
    not in the loss, so that the loss on val is that of true labels. A share of `teacher` is what its networks say of
    the unchanged image and its mirror image, in the mean (Hinton et al. 2015, arXiv:1503.02531, of which the
    temperature is 1 here).
    """
    smoothed = np.full((len(split), classes), smoothing / classes, np.float32)
    smoothed[np.arange(len(split)), split.labels] = 1 - smoothing + smoothing / classes
    if not teacher.networks:
        return smoothed
    said = sum(_said(name, digest, split, classes) for name, digest in teacher.networks.items())
    return (1 - teacher.share) * smoothed + teacher.share * said.astype(np.float32) / len(teacher.networks)


def _said(name: str, digest: str, split: Split, classes: int) -> np.ndarray:
    path = paths.ROOT / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise PipelineError(f"{path} is missing, or not the network that teacher.networks names by its SHA-256")
    network = saved.load(path)
    if network.output_shape[-1] != classes:
        raise PipelineError(f"{path} tells {network.output_shape[-1]} emotions apart, and the data have {classes}")
    return scoring.predict_with_mirror(network, split)
