"""Compare runs: a table, the curves, and whether the differences are significant."""
