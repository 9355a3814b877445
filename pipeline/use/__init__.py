"""Write an experiment or single settings into params.yaml."""
