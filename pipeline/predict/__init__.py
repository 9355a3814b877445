"""Predict emotions in pictures, videos, or a camera."""
