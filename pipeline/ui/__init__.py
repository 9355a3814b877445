"""Start the MLflow UI on this project's runs."""
