"""Faces in pictures: detection, cropping, prediction, drawing."""
