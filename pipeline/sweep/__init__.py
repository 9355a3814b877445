"""Many training runs: the jobs of a sweep or a search, launchers, rankings."""
