"""Sweeps: planning, jobs, launchers and rankings; searches use them too."""
