"""Facts about FER-2013 that numbers depend on."""

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The classes in alphabetical order, as Kaggle's folders are."""
CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The classes in the order of the codes 0 to 6 in fer2013.csv."""

SPLITS = ("train", "val", "test")
IMAGE_SIZE = 48
"""Pixels along each side of an image; images are grey, 8 bits."""
