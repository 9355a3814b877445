"""How sharp a face is."""

import cv2
import numpy as np

BLANK = 2.0
"""Standard deviation, in grey levels, below which an image is blank."""


def sharpness(face: np.ndarray) -> float:
    """Return the variance of the Laplacian of an (h, w) uint8 face, divided by the face's own: low if it is blurred.

    The division makes it independent of the light; an even face has 0, and a blank one not much more.
    Source: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548.
    """
    return float(cv2.Laplacian(face, cv2.CV_32F).var() / max(face.var(), BLANK**2))
