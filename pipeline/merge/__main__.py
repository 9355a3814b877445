"""Copies the runs and models of another MLflow store into this one."""

import argparse
import logging
import os
import sqlite3

from pipeline.core import config, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive
from pipeline.core.redact import redact


@command
def main(arguments: list[str]) -> None:
    """Copy runs, artifacts and models that are not here from another MLflow store, which is only read."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.merge", description=main.__doc__)
    parser.add_argument("source", metavar="SOURCE", help="another checkout, its mlruns/, or an MLflow tracking URI")
    parser.add_argument("--tracking", help="where to: an option of conf/tracking/; params.yaml's without it")
    asked = parser.parse_args(arguments)
    cfg, _ = config.compose([f"tracking={asked.tracking}"] if asked.tracking else [])

    from pipeline.merge.runs import Merge
    from pipeline.merge.source import open_source
    from pipeline.tracking.failures import failures, reason
    from pipeline.tracking.tracker import Tracker

    ours = Tracker(cfg.tracking).client
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # or it reports that it updates the tables of a copy
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # or it prints the address of each run that ends
    try:
        with exclusive(paths.MLRUNS / "merge.lock", "a merge"), open_source(asked.source) as theirs:
            merge = Merge(theirs, ours)
            merge.copy_runs(cfg.tracking)
            merge.copy_versions()
    except (*failures(), OSError, sqlite3.Error, ImportError) as error:  # type: ignore[misc]
        there = redact(asked.source)
        raise PipelineError(f"{there} is not merged ({reason(error)}); the same command resumes") from error
    print(f"{merge.copied} runs copied, {merge.known} already here", *merge.notes, sep="\n")


if __name__ == "__main__":
    main()
