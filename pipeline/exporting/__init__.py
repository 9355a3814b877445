"""A trained network in other formats: writing the files, and running them."""
