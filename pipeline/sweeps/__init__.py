"""Many trainings: jobs, launchers, rankings, and searches with Optuna."""
