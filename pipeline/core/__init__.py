"""What every command stands on: configuration, its schema and its checks, paths, files, locks, progress."""
