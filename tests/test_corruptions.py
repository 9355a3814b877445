"""Corrupted images: what each corruption does, that it is repeatable, and the command that scores models on them."""

import json

import keras
import numpy as np
import pytest

from pipeline.metrics import corruptions

NAMES = (
    *("noise", "shot noise", "impulse noise", "blur", "motion blur", "low resolution"),
    *("JPEG", "brightness", "contrast", "side light", "occlusion", "misplaced"),
)
GREY = np.full((40, 48, 48), 120, np.uint8)


@pytest.fixture(scope="module")
def textured() -> np.ndarray:
    """Return images with detail at every scale and no pixel near black or white."""
    rng = np.random.default_rng(0)
    detail = sum(np.kron(rng.normal(0, 10, (40, 48 // s, 48 // s)), np.ones((s, s))) for s in (1, 2, 4, 8, 16))
    return np.clip(128 + detail, 40, 215).astype(np.uint8)


def distance(images: np.ndarray, name: str, severity: int) -> float:
    return float(np.abs(corruptions.corrupt(images, name, severity).astype(float) - images).mean())


def test_there_are_twelve_at_three_severities():
    assert tuple(corruptions.CORRUPTIONS) == NAMES
    assert all(len(strengths) == 3 for _, strengths, _ in corruptions.CORRUPTIONS.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_is_the_same_each_time_and_grows_with_its_severity(textured, name):
    before = textured.copy()
    first, again = (corruptions.corrupt(textured, name, 1) for _ in "ab")
    assert (first.shape, first.dtype) == (textured.shape, np.uint8)
    assert np.array_equal(first, again)
    assert np.array_equal(textured, before)
    weak, medium, strong = (distance(textured, name, severity) for severity in range(3))
    assert 0.5 < weak < medium < strong


@pytest.mark.parametrize(("severity", "sigma"), [(0, 6), (1, 12), (2, 24)])
def test_noise_has_its_standard_deviation(severity, sigma):
    noisy = corruptions.corrupt(GREY, "noise", severity).astype(float)
    assert (noisy.mean(), noisy.std()) == (pytest.approx(120, abs=0.5), pytest.approx(sigma, rel=0.02))


def test_shot_noise_grows_with_the_light():
    photons = 60
    for level in (60, 120):
        noisy = corruptions.corrupt(np.full_like(GREY, level), "shot noise", 1).astype(float)
        assert noisy.std() == pytest.approx(255 * np.sqrt(level / 255 / photons), rel=0.2)


def test_light_is_changed_by_levels_share_and_side():
    bright = corruptions.corrupt(GREY, "brightness", 0)
    assert {int(level) for level in np.unique(bright)} == {90, 150}
    flat = corruptions.corrupt(np.tile(np.uint8([0, 200]), (40, 48, 24)), "contrast", 0)
    assert {int(level) for level in np.unique(flat)} == {40, 160}
    light = corruptions.corrupt(GREY, "side light", 0)
    assert {(int(image[0, 0]), int(image[0, -1])) for image in light} == {(72, 120), (120, 72)}


def test_eyes_or_mouth_are_hidden_across_the_face():
    hidden = corruptions.corrupt(np.full_like(GREY, 200), "occlusion", 1) == 128
    assert {tuple(np.flatnonzero(image.all(axis=1))) for image in hidden} == {
        tuple(range(12, 24)),
        tuple(range(32, 44)),
    }


def test_blurs_and_low_resolution_keep_an_even_image():
    for name in ("blur", "motion blur", "low resolution", "misplaced"):
        assert np.array_equal(corruptions.corrupt(GREY, name, 2), GREY)


def test_a_model_is_scored_on_the_corrupted_images():
    """It calls an image bright or dark by its first column: only what changes that column loses accuracy."""
    layers = [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    weights = np.zeros((48, 48), np.float32)
    weights[:, 0] = 10
    model.set_weights([np.stack([weights.ravel(), -weights.ravel()], 1), np.array([-240, 240], np.float32)])
    pixels = np.concatenate([np.full((20, 48, 48), 200, np.uint8), np.full((20, 48, 48), 60, np.uint8)])
    calls: list[int] = []
    predict = lambda images: model.predict(images[..., None] / 255, verbose=0)  # noqa: E731
    found = corruptions.accuracies(predict, pixels, np.repeat([0, 1], 20), calls.append)
    assert calls == [1] * 36
    assert found["blur"] == found["noise"] == found["contrast"] == [1.0, 1.0, 1.0]
    assert 0 < found["brightness"][2] < 1  # bright images that are darkened cross 120, and dark ones the other way
    assert found["side light"][2] < 1
    expected = sum(sum(values) for values in found.values()) / 36
    assert corruptions.mean(found) == pytest.approx(expected)


def test_the_command_scores_models_and_draws_them(finished):
    options = ("--data", "synthetic", "--out", "outputs/x.png", "--json", "outputs/x.json")
    done = finished.stage("corruptions", "models/model.h5", *options)
    written = json.loads(finished.path("outputs/x.json").read_text())
    assert finished.path("outputs/x.png").read_bytes().startswith(b"\x89PNG")
    assert written["data"]["split"] == "val"
    assert tuple(written["models"]["model"]["corruptions"]) == NAMES
    assert "corrupted {mean_corrupted_accuracy:.2%}".format(**written["models"]["model"]) in done.stdout
    refused = finished.stage("corruptions", "--out", "x.jpg", check=False)
    assert refused.returncode == 1
    assert refused.stderr == "error: x.jpg does not end in .png; accepted: a name that ends in .png\n"
