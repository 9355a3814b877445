"""Accuracy on corrupted images: `python -m pipeline.corruptions`."""
