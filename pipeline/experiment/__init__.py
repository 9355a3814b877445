"""Train an experiment of conf/experiment/ with several seeds, and score it on test."""
