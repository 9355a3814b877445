"""MLflow: runs, their store, and the model registry."""
