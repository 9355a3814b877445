"""Stage 1: get the archive of the dataset into data/raw/, and verify it."""
