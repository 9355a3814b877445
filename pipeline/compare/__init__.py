"""Compare runs: a table, learning curves, and the significance of differences."""
