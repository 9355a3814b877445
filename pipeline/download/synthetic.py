"""Synthetic faces in the layout of FER-2013: a dataset for the demo and for tests, without a download.

A face is a stack of shapes on the 48x48 grid, each painted by its signed distance. The emotion moves the muscles
(after the Facial Action Coding System); the person, the light and the pose are random.
"""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.constants import EMOTIONS, IMAGE_SIZE
from pipeline.core.progress import progress

BATCH = 20
"""Images drawn at once: few enough that their arrays fit into the cache of a core."""

EDGE = 0.05
"""Width in which a shape fades out, about one pixel; the unit of lengths is half the side of the image."""

WHITE = 0.92
"""Tone of the teeth and the white of the eye, the brightest parts of a face: easy features to learn."""

UPPER, MIDDLE, LOWER = np.s_[:, :36], np.s_[:, 6:44, 6:42], np.s_[:, 20:]
"""The rows and columns within which hair and eyes, nose and creases, mouth and neck are drawn."""

MUSCLES = ("smile", "width", "open", "teeth", "sneer", "brow", "tilt", "lid", "furrow", "wrinkle", "cheek")
EXPRESSIONS = {
    #            smile width  open teeth sneer  brow  tilt   lid furrow wrinkle cheek
    "angry": (-0.04, 0.26, 0.006, 0.00, 0.00, -0.09, -0.12, 0.066, 1.0, 0.1, 0.2),
    "disgust": (-0.06, 0.28, 0.065, 0.08, 0.10, -0.04, -0.02, 0.042, 0.3, 1.2, 0.8),
    "fear": (-0.03, 0.36, 0.080, 0.05, 0.00, 0.07, 0.07, 0.115, 0.5, 0.0, 0.1),
    "happy": (0.17, 0.42, 0.080, 0.09, 0.00, 0.03, 0.02, 0.052, 0.0, 0.0, 0.8),
    "neutral": (0.02, 0.29, 0.004, 0.00, 0.00, 0.00, 0.00, 0.078, 0.0, 0.0, 0.1),
    "sad": (-0.13, 0.26, 0.006, 0.00, 0.00, 0.03, 0.12, 0.056, 0.2, 0.0, 0.2),
    "surprise": (-0.01, 0.20, 0.170, 0.02, 0.00, 0.14, 0.02, 0.118, 0.0, 0.0, 0.0),
}
"""The muscles of each emotion at full strength."""

HABIT = (0.012, 0.020, 0.008, 0.012, 0.010, 0.014, 0.012, 0.006, 0.10, 0.08, 0.12)
"""Standard deviation of the muscles over neutral faces."""

TRAITS = {
    "strength": (0.85, 1.2),
    "turn": (-0.3, 0.3), "yaw": (-0.08, 0.08), "nod": (-0.04, 0.04), "size": (0.98, 1.3),
    "right": (-0.24, 0.24), "down": (-0.24, 0.24),
    "skin": (0.42, 0.72), "hair": (0.03, 0.3), "backdrop": (0.1, 0.6), "coat": (0.1, 0.5),
    "broad": (0.60, 0.70), "tall": (0.82, 0.92), "chin": (0.04, 0.22),
    "fringe": (-0.85, -0.50), "strands": (8.0, 22.0), "parting": (-0.3, 0.3), "locks": (-0.25, 0.3),
    "eyes": (0.26, 0.31), "eye_height": (-0.19, -0.13), "eye_width": (0.13, 0.17), "iris": (0.05, 0.3),
    "gaze": (-0.04, 0.04), "arch": (0.0, 0.05), "bushy": (0.022, 0.04),
    "nose": (0.16, 0.22), "nostril": (0.06, 0.09), "mouth": (0.46, 0.52), "lips": (0.015, 0.05),
    "lip_tone": (0.45, 0.7), "glasses": (-9.0, 1.0), "cover": (-12.0, 1.0),
    "cover_angle": (-0.6, 3.8), "cover_tone": (0.6, 1.0),
    "light_right": (-0.2, 0.2), "light_down": (-0.2, 0.1), "round": (0.05, 0.2),
    "blur": (0.0, 0.5), "noise": (0.01, 0.04), "contrast": (0.9, 1.15), "bright": (-0.04, 0.04),
}  # fmt: skip
"""Range of each trait of a face and its image that is independent of the emotion."""


def draw(target: Path, counts: dict[str, list[int]], seed: int) -> None:
    """Write the zip `target` in the layout of Kaggle's FER-2013; the same seed gives the same bytes.

    `counts` has the number of images of each emotion in train, val and test.
    """
    rng = np.random.default_rng(seed)
    total = sum(map(sum, counts.values()))
    row = 0
    with zipfile.ZipFile(target, "w") as archive, progress("drawing synthetic faces", total, "images") as advance:
        for split, prefix in enumerate(("train/{}/Training", "test/{}/PublicTest", "test/{}/PrivateTest")):
            emotions = np.repeat([EMOTIONS.index(e) for e in counts], [n[split] for n in counts.values()])
            rng.shuffle(emotions)
            for start in range(0, len(emotions), BATCH):
                batch = emotions[start : start + BATCH]
                for emotion, pixels in zip(batch, render(batch, rng), strict=True):
                    name = f"{prefix.format(EMOTIONS[emotion])}_{row}.jpg"
                    with archive.open(zipfile.ZipInfo(name), "w") as file:  # dated 1980-01-01
                        Image.fromarray(pixels).save(file, "JPEG", quality=95)
                    row += 1
                advance(len(batch))


def render(emotions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n, 48, 48) uint8 faces with `emotions`, n indices into EMOTIONS."""
    face = _sample(emotions, rng)
    axis = (np.arange(IMAGE_SIZE, dtype=np.float32) + 0.5) * 2 / IMAGE_SIZE - 1
    across, along = axis[None, None, :], axis[None, :, None]
    right, down = (across - face["right"]) / face["size"], (along - face["down"]) / face["size"]
    cos, sin = np.cos(face["turn"]), np.sin(face["turn"])
    x, y = right * cos + down * sin, down * cos - right * sin
    image = _head(face, x, y)
    x, y = x - face["yaw"], y - face["nod"]
    for part, window in ((_creases, MIDDLE), (_mouth, LOWER), (_eyes, UPPER)):
        part(image[window], face, x[window], y[window])
    _occlude(image, face, x, y)
    image *= 1 + face["light_right"] * across + face["light_down"] * along
    return _expose(image, face, rng)


def _sample(emotions: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    low, high = np.array(list(TRAITS.values())).T[..., None]
    traits = dict(zip(TRAITS, rng.uniform(low, high, (len(TRAITS), len(emotions))), strict=True))
    shown, rest = np.array([EXPRESSIONS[e] for e in EMOTIONS])[emotions], np.array(EXPRESSIONS["neutral"])
    muscles = rest + traits["strength"][:, None] * (shown - rest)
    muscles += rng.normal(size=muscles.shape) * HABIT
    traits |= dict(zip(MUSCLES, muscles.T, strict=True))
    for name in ("open", "teeth", "furrow", "wrinkle", "cheek"):
        traits[name] = np.maximum(traits[name], 0)
    traits["lid"] = np.maximum(traits["lid"], 0.02)
    traits["sneer"] = traits["sneer"] * rng.choice([-1, 1], len(emotions))
    return {name: value.astype(np.float32)[:, None, None] for name, value in traits.items()}


def _head(face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    image = y * (-0.15 * face["backdrop"]) + face["backdrop"]
    _paint(image, _cover(_ellipse(x, y - face["locks"], face["broad"] + 0.1, face["tall"] + 0.1)), face["hair"])
    _paint(image[LOWER], _cover(np.abs(x[LOWER]) - 0.3), face["skin"] * 0.7)  # the neck
    _paint(image[LOWER], _cover(_ellipse(x[LOWER], y[LOWER] - 1.4, 1.0, 0.45)), face["coat"])
    outline = _ellipse(x * (1 + face["chin"] * y), y, face["broad"], face["tall"])
    rim = 1 + outline / face["broad"]
    _paint(image, _cover(outline), 1.08 * face["skin"] - rim * (rim * (face["round"] * face["skin"])))
    _fringe(image[UPPER], face, x[UPPER], y[UPPER])
    return image


def _fringe(image: np.ndarray, face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    strands = np.cos(x * face["strands"] + face["parting"] * 9)
    edge = y - face["fringe"] - 0.6 * (x - face["parting"]) ** 2 + 0.04 * strands
    cover = _cover(edge) * _cover(_ellipse(x, y, face["broad"] + 0.06, face["tall"] + 0.1))
    _paint(image, cover, face["hair"] * (1.15 + 0.2 * strands))


def _creases(image: np.ndarray, face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    side, below, lower = np.abs(x), y - face["eye_height"], y - face["nose"]
    bridge = _soft(side - 0.06, 0.05) * _soft(lower + 0.2, 0.2)
    nostrils = _cover(_ellipse(side - face["nostril"], lower, 0.045, 0.03))
    folds = _soft(side - 0.55 * lower - face["nostril"] - 0.09, 0.03) * _soft(lower - 0.12, 0.12)
    frown = _soft(side - 0.05, 0.025) * _soft(below + 0.12, 0.09)
    wrinkles = (np.cos(below * 55 - side * 12) + 1) * _soft(side, 0.1) * _soft(below - 0.08, 0.1)
    shade = 0.3 * bridge + 0.8 * nostrils + 0.4 * face["cheek"] * folds
    shade += face["furrow"] * frown + 0.4 * face["wrinkle"] * wrinkles
    _paint(image, np.minimum(shade, 1), face["skin"] * 0.45)


def _mouth(image: np.ndarray, face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    along = x / face["width"]
    square = along * along
    bulge = np.sqrt(np.maximum(1 - square, 0))
    y = y - face["mouth"] - face["smile"] * (0.6 - square) + face["sneer"] * along
    gap = face["open"] * bulge
    ends = (np.abs(along) - 1) * face["width"]
    distance = np.abs(y) - gap
    _paint(image, _cover(np.maximum(distance - face["lips"] * bulge, ends)), face["skin"] * face["lip_tone"])
    inside = _cover(np.maximum(distance - 0.012, ends))
    _paint(image, inside, face["skin"] * 0.18)
    teeth = np.minimum(face["teeth"], 1.6 * face["open"])
    _paint(image, inside * _cover(y + gap - teeth) * _cover(0.02 - teeth), WHITE)


def _eyes(image: np.ndarray, face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    y = y - face["eye_height"]
    out, width = np.abs(x) - face["eyes"], face["eye_width"]
    almond = face["lid"] * (1 - (out / width) ** 2)
    lids = np.abs(y) - almond
    _paint(image, _cover(lids - 0.03), face["skin"] * 0.35)
    ball = _cover(lids + 0.01)
    _paint(image, ball, WHITE)
    iris = _cover(_ellipse(np.abs(x - face["gaze"]) - face["eyes"], y, 0.07, 0.07))
    _paint(image, ball * iris, face["iris"] * face["skin"])
    along = (out + 0.005) / (width + 0.03)
    brow = y + 0.17 + face["brow"] - face["tilt"] * along - face["arch"] * (along * along - 0.5)
    thick = face["bushy"] * (1.1 - 0.4 * along)
    stroke = np.maximum(np.abs(brow) - thick, (np.abs(along) - 1) * width)
    _paint(image, 0.9 * _cover(stroke), np.minimum(face["hair"], face["skin"] * 0.5))
    rim = np.abs(_ellipse(out, y - 0.02, 0.24, 0.19)) - 0.015
    _paint(image, _cover(rim) * (face["glasses"] > 0), 0.1)


def _occlude(image: np.ndarray, face: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    cos, sin = np.cos(face["cover_angle"]), np.sin(face["cover_angle"])
    hand = _cover(_ellipse(x * cos + y * sin - 0.8, y * cos - x * sin, 0.3, 0.4))
    _paint(image, hand * (face["cover"] > 0), face["skin"] * face["cover_tone"])


def _expose(image: np.ndarray, face: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    blurred = image.copy()
    for axis in (1, 2):
        a = np.moveaxis(blurred, axis, 0)
        a[1:-1] = (a[:-2] + a[2:]) * 0.25 + a[1:-1] * 0.5
    image += face["blur"] * (blurred - image)
    image += face["noise"] * (rng.random(image.shape, dtype=np.float32) - 0.5)
    image *= face["contrast"] * 255
    image += (0.5 - 0.5 * face["contrast"] + face["bright"]) * 255
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _ellipse(x: np.ndarray, y: np.ndarray, a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    distance = np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1
    distance *= np.minimum(a, b)
    return distance


def _cover(distance: np.ndarray) -> np.ndarray:
    return np.clip(distance * np.float32(-1 / EDGE) + 0.5, 0, 1)


def _soft(distance: np.ndarray, width: float) -> np.ndarray:
    return np.maximum(1 - (distance * np.float32(1 / width)) ** 2, 0)


def _paint(image: np.ndarray, cover: np.ndarray, tone: np.ndarray | float) -> None:
    image += cover * (tone - image)
