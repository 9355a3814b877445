"""A video of 640x480 pixels with one face, by the camera's loop and as a file: found, predicted, drawn, written."""

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from pipeline.core import paths, runtime
from pipeline.download import synthetic
from pipeline.faces import camera, detection, frames
from pipeline.faces.classifier import Classifier
from pipeline.predict import live, offline, output

FRAMES, ROUNDS = 200, 5


def measure() -> Iterator[dict]:
    """Yield frames a second of `pipeline.predict --camera` as it writes a video, and the time of its parts."""
    runtime.configure()
    network = Classifier(paths.weights("small"))
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        _write(clip)
        detector = detection.load(longest=camera.LONGEST)
        live.watch(str(clip), network, detector, Path(folder), headless=True)  # warms up
        seconds = [_seconds(live.watch, str(clip), network, detector, Path(folder), True) for _ in range(ROUNDS)]
        yield {
            "what": "a video of 640x480 with one face, small: annotated and written",
            "unit": "frames/s",
            "values": [FRAMES / s for s in seconds],
            "target": "30 or more",
        }
        full, out = detection.load(), Path(folder) / "file"
        with contextlib.redirect_stdout(io.StringIO()):
            whole = [
                _seconds(offline.predict, [str(clip)], network, full, detector, out, "csv", drawn)
                for drawn in (True, False)
                for _ in range(ROUNDS)
            ]
        yield {
            "what": "... as a file, all frames, with the faces and people as tables",
            "unit": "frames/s",
            "values": [FRAMES / s for s in whole[:ROUNDS]],
            "target": "30 or more",
        }
        without = [FRAMES / s for s in whole[ROUNDS:]]
        yield {"what": "... as a file, without the annotated video", "unit": "frames/s", "values": without}
        seen = [frame.pixels for frame in frames.of_file(clip)]
        found = [len(detector(frame)) for frame in seen]
        yield {"what": "... faces found in a frame", "unit": "", "values": [float(np.mean(found))]}
        face = detection.crop(seen[0], detection.Box(200, 120, 240))[None]
        tracker = camera.FaceTracker()
        parts = {
            "finding faces": lambda frame: detector(frame),
            "predicting one": lambda frame: network.probabilities(face),
            "all but reading and writing": lambda frame: camera.annotate(frame, network, detector, tracker, 30),
        }
        for part, do in parts.items():
            each = [1000 * _seconds(lambda do=do: [do(frame) for frame in seen[:50]]) / 50 for _ in range(ROUNDS)]
            yield {"what": f"... {part}", "unit": "ms", "values": each}


def _write(path: Path) -> None:
    face = cv2.resize(synthetic.render(np.zeros(1, int), np.random.default_rng(0))[0], (240, 240))
    video = output.Video(path, 30)
    for i in range(FRAMES):
        frame = np.full((480, 640, 3), 150, np.uint8)
        left = 200 + round(100 * np.sin(i / 20))
        frame[120:360, left : left + 240] = face[:, :, None]
        video.write(frame)
    video.finish()


def _seconds(call, *arguments) -> float:
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started
