"""How small and how blurred a face may be: what a network is worth on val when its images are made worse."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from benchmarks import data
from pipeline.core import paths, runtime
from pipeline.data import arrays
from pipeline.faces.classifier import MIN_SHARPNESS, MIN_SIDE, Classifier
from pipeline.faces.sharpness import sharpness
from pipeline.metrics import calibration


def measure() -> Iterator[dict]:
    """Yield val's accuracy and mean confidence as it is, at fewer pixels a side, and blurred; and how sharp it is."""
    runtime.configure()
    network = Classifier(paths.weights("small"))
    val = arrays.load(data.folder(), "val", network.info.classes)
    images = val.images()
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {"as they are": lambda image: image}
    for side in (40, 32, 28, 24, 20, 16):
        ways[f"of {side} pixels a side"] = lambda image, side=side: _smaller(image, side)
    for sigma in (0.5, 0.8, 1, 1.5, 2):
        ways[f"blurred by {sigma} pixels"] = lambda image, sigma=sigma: cv2.GaussianBlur(image, (0, 0), sigma)
    for way, worsen in ways.items():
        worse = np.stack([worsen(image) for image in images])
        found = network.probabilities(worse)
        right = 100 * float((found.argmax(1) == val.labels).mean())
        yield {"what": f"{data.name()} val {way}: accuracy of small", "unit": "%", "values": [right]}
        sure = calibration.confident(found, val.labels, network.info.threshold)
        yield {"what": "... sure, were there no other doubts", "unit": "%", "values": [100 * sure["share"]]}
        if way != "as they are" and "pixels a side" not in way:
            blurred = 100 * float(np.mean([sharpness(image) < MIN_SHARPNESS for image in worse]))
            yield {"what": f"... taken for blurred (sharpness below {MIN_SHARPNESS})", "unit": "%", "values": [blurred]}
    least = min(sharpness(image) for image in images if image.std() > 0)
    yield {"what": f"least sharpness of an image (small is below {MIN_SIDE} pixels)", "unit": "", "values": [least]}


def _smaller(image: np.ndarray, side: int) -> np.ndarray:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape, interpolation=cv2.INTER_LINEAR)
