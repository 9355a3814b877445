"""Search hyperparameters with Optuna."""
