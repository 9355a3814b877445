"""The predictions of a frame as rows, as files and answers contain them."""

from typing import Any

from pipeline.faces.classifier import Face

NO_FACE = "no face"
KEYS = ("file", "frame", "face", "x", "y", "side", "angle", "prediction", "rejected")
"""The keys of a row before the probabilities."""


def of_frame(name: str, number: int | None, faces: list[Face], classes: list[str]) -> list[dict[str, Any]]:
    """Return a row for each face of a frame; without faces, one row whose prediction is NO_FACE.

    A row has file, frame (of a video, from 0), face (from 1, the largest first), x, y and side (of the box, in pixels
    of the frame), angle (of the box, clockwise in degrees), prediction, rejected (None, or the reason) and the
    calibrated probability of each emotion.
    """
    keys = (*KEYS, *classes)
    if not faces:
        return [dict.fromkeys(keys) | {"file": name, "frame": number, "prediction": NO_FACE}]
    found = []
    for index, (box, prediction, _) in enumerate(faces, 1):
        probabilities = (round(float(p), 4) for p in prediction.probabilities)
        values = name, number, index, *box, prediction.emotion, prediction.rejected or None, *probabilities
        found.append(dict(zip(keys, values, strict=True)))
    return found
