"""Write an experiment or single settings to params.yaml."""
