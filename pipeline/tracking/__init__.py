"""MLflow: the runs, their store, the registered champion, and where a run comes from."""
