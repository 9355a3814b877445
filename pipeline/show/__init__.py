"""Serve a web page that predicts emotions in pictures and the browser's camera."""
