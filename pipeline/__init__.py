"""Facial-emotion training pipeline for FER-2013: download, preprocess, train, evaluate."""
