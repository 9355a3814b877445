"""Make a dataset of your own pictures: an archive, and an option of conf/data/."""
