"""What a model is judged by: scores, predictions, and the report."""
