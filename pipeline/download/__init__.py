"""Stage 1: put the archive of the dataset into data/raw/, verified."""
