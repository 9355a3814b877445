"""Predictions of a model and what is computed from them: scores, calibration, Grad-CAM."""
