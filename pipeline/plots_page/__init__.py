"""DVC's plots as a page."""
