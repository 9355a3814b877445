"""Measure the accuracy of models on corrupted images."""
