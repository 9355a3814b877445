"""The pictures of the stages, one module a subject; canvas.py is what they share."""
