"""Copy the runs and models of another MLflow store into this one."""
