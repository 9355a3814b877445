"""Shared by every command: configuration and its checks, paths, files, locks, progress, errors."""
