"""What `python -m pipeline.readme` writes into the project's pages, each module a part of them."""
