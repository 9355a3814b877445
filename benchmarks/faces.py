"""The whole front end on known faces: images of val pasted into larger pictures, found, set upright, cropped and read.

A 48x48 image ends at the cheeks: its edge is continued to an oval head, on light grey. The constants by which a
detector frames a face were chosen on CHOSEN images of val; the figures are of others.
"""

import time
from collections.abc import Iterator

import cv2
import numpy as np

from benchmarks import data
from pipeline.core import paths, runtime
from pipeline.data import arrays
from pipeline.faces import camera, detection
from pipeline.faces.classifier import Classifier
from pipeline.faces.detection import Box, Detector

FACES, CHOSEN, SEED = 2000, 900, 7
"""Faces in pictures of 640x480; the number of images on which constants were chosen, and the seed that draws them."""
SIZE, SIDES, ANGLES = (640, 480), (90, 300), (0, 45)
LARGE_SIZE, LARGE_SIDES, PICTURES = (4000, 3000), (30, 40, 60, 100, 200, 1000, 2500), 12
HEAD, ROOM, GROUND = (27, 34), 48, 200
"""Half the width and height of a head, and the room around an image, in the image's pixels; the grey around heads."""
SAME = 0.3
"""The intersection over union from which a box is on a face."""


def measure() -> Iterator[dict]:
    """Yield the share of faces that each detector finds, and the accuracy on them and on their 48x48 images."""
    runtime.configure()
    network = Classifier(paths.weights("best"))
    val = arrays.load(data.folder(), "val", network.info.classes)
    chosen = np.random.default_rng(SEED).choice(len(val), CHOSEN, replace=False)
    others = np.setdiff1d(np.arange(len(val)), chosen)[:FACES]
    images, labels = val.images(others), val.labels[others]
    for name in detection.LONGEST:
        detector = detection.load(name)
        for most in ANGLES:
            yield from _read(f"val turned by up to {most} degrees, {name}", images, labels, most, detector, network)
        for side in LARGE_SIDES:
            yield from _large(f"faces of {side} pixels in 4000x3000, {name}", images, side, detector)


def _pasted(images: np.ndarray, most: float) -> Iterator[tuple[np.ndarray, Box]]:
    """Yield a picture and the true box for each image, at random places, sizes and angles from -`most` to `most`."""
    rng = np.random.default_rng(0)
    for image in images:
        side = float(np.exp(rng.uniform(*np.log(SIDES))))
        x, y = (rng.uniform(side / 2, length - side / 2) for length in SIZE)
        picture = np.full(SIZE[::-1], GROUND, np.uint8)
        box = paste(picture, image, (x, y), side, rng.uniform(-most, most))
        yield cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), box


def paste(picture: np.ndarray, image: np.ndarray, centre: tuple[float, float], side: float, angle: float) -> Box:
    """Draw a (48, 48) image with a head around it into the grey `picture`; return its box."""
    length = len(image)
    padded = cv2.copyMakeBorder(image, *[ROOM] * 4, cv2.BORDER_REPLICATE)
    head = cv2.GaussianBlur(padded, (0, 0), 6)
    head[ROOM:-ROOM, ROOM:-ROOM] = image
    oval = cv2.ellipse(np.zeros_like(head), (len(head) // 2, len(head) // 2), HEAD, 0, 0, 360, 255, -1)
    both = cv2.merge([head, cv2.GaussianBlur(oval, (0, 0), 1.5)])
    if side < length:  # or else pixels of the image are lost between those of the picture
        both = cv2.GaussianBlur(both, (0, 0), 0.4 * length / side)
    middle = (len(head) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), -angle, side / length)
    reach = round(2 * side)  # of the part of the picture that is drawn on
    left, top = (max(0, round(c - reach)) for c in centre)
    part = picture[top : round(centre[1] + reach), left : round(centre[0] + reach)]
    turn[:, 2] += np.subtract(centre, (left, top)) - 0.5 - middle
    head, oval = cv2.split(cv2.warpAffine(both, turn, part.shape[::-1], flags=cv2.INTER_CUBIC))
    share = oval / np.float32(255)
    part[:] = (share * head + (1 - share) * part).round()
    corner = (round(c - side / 2) for c in centre)
    return Box(*corner, round(side), round(angle))


def _read(
    what: str, images: np.ndarray, labels: np.ndarray, most: float, detector: Detector, network: Classifier
) -> Iterator[dict]:
    """Yield the share of faces that are found, and the accuracy on them: as found, without a detector, unpasted."""
    which, extra, found, true = [], 0, [], []
    for index, (picture, box) in enumerate(_pasted(images, most)):
        boxes = detector(picture)
        right = [each for each in boxes if camera.overlap(each, box) > SAME]
        extra += len(boxes) - len(right)
        if right:
            which.append(index)
            found.append(detection.crop(picture, right[0]))
            true.append(detection.crop(picture, box))
    yield {"what": f"{what}: found", "unit": "%", "values": [100 * len(which) / len(images)]}
    yield {"what": "... boxes on no face", "unit": "", "values": [extra]}
    faces = {"as found": np.stack(found), "cut at the true place": np.stack(true), "48x48 images": images[which]}
    for way, pixels in faces.items():
        accuracy = (network.probabilities(pixels).argmax(1) == labels[which]).mean()
        yield {"what": f"... accuracy, {way}", "unit": "%", "values": [100 * float(accuracy)]}


def _large(what: str, images: np.ndarray, side: int, detector: Detector) -> Iterator[dict]:
    """Yield the share of faces that are found in pictures of LARGE_SIZE, and the time a picture."""
    across, down = (max(1, length // max(400, round(1.4 * side))) for length in LARGE_SIZE)
    found, seconds, faces = [], [], iter(images)
    for _ in range(1 if across > 3 else PICTURES):
        picture = np.full(LARGE_SIZE[::-1], GROUND, np.uint8)
        places = [((i + 0.5) * 4000 / across, (j + 0.5) * 3000 / down) for i in range(across) for j in range(down)]
        true = [paste(picture, next(faces), place, side, 0) for place in places]
        frame = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        started = time.perf_counter()
        boxes = detector(frame)
        seconds.append(time.perf_counter() - started)
        found += [any(camera.overlap(box, each) > SAME for each in boxes) for box in true]
    yield {"what": f"{what}: found of {len(found)}", "unit": "%", "values": [100 * float(np.mean(found))]}
    yield {"what": "... a picture", "unit": "s", "values": seconds}
