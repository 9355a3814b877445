"""Stage 3: train the chosen model; with overrides a single run, with -m a sweep."""
