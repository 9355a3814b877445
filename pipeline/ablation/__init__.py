"""Train an experiment with and without each of its techniques."""
