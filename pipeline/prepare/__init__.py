"""Turn a folder, an archive or a table of your own into a dataset: an archive, and an option of conf/data/."""
