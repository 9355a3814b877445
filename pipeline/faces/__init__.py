"""Detect, crop, classify and draw faces in pictures."""
