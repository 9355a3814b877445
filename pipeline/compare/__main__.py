"""Compares runs: a table, learning curves in one figure, and the significance of differences."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core import config, files, paths
from pipeline.core.command import command
from pipeline.sweep.summary import interval

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

TEMPLATE = Path(__file__).with_name("compare.html.jinja")


@command
def main(arguments: list[str]) -> None:
    """Compare runs on val, or with `--split test` on test."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.compare", description=main.__doc__)
    what = "the beginning of an id, a name, a sweep, or an MLflow filter: \"params.model.name = 'linear'\""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=what)
    when = "val to choose a model, test only to report on it"
    parser.add_argument("--split", choices=["val", "test"], default="val", help=when)
    parser.add_argument("--tracking", help="an option of conf/tracking/; the default is in params.yaml")
    options = parser.parse_args(arguments)
    cfg, _ = config.compose([f"tracking={options.tracking}"] if options.tracking else [])

    from pipeline.tracking.tracker import Tracker

    print(f"\n{compare(Tracker(cfg.tracking), options.runs, options.split)}")


def compare(tracker: "Tracker", names: list[str], split: str) -> Path:
    """Compare the runs `names` on `split`, print a table and the differences, and return the path of the page.

    Raises PipelineError if a run is not found, or the runs are not comparable.
    """
    from pipeline.compare import differences, runs
    from pipeline.sweep import ranking

    found = runs.find(tracker, names, split)
    differences.require_comparable(found)
    groups = runs.group_seeds(found)
    counted = {run.id for group in groups for run in group}
    if repeats := [f"{run.name} ({run.id[:8]})" for run in found if run.id not in counted]:
        print(f"not compared, because they repeat another run: {', '.join(repeats)}")
    rows = differences.rows(groups, runs.labels(groups))
    verdicts = differences.to_the_best(rows)
    # The same runs always have the same folder.
    key = hashlib.sha256(" ".join([*sorted(run.id for run in found), split]).encode()).hexdigest()[:12]
    folder = paths.HOME / "outputs" / "compare" / key
    data = {"name": found[0].tags["data"], "digest": found[0].tags["data_digest"], "split": split}
    _write(folder, rows, {"data": data, "differences": verdicts}, tracker.pages)
    table = ranking.aligned(_table(rows))
    print(table + "\n\n" + "\n".join(difference["verdict"] for difference in verdicts))
    tags = {"source": "compare", "compared": ",".join(run.id[:8] for run in found)[:5000]}
    tracker.experiment_id = tracker.client.get_run(found[0].id).info.experiment_id  # of their dataset
    run_id = tracker.create(f"comparison of {len(rows)} configurations", {}, tags)
    with tracker.active(run_id):
        tracker.log_files(run_id, sorted(folder.iterdir()))
        tracker.describe(run_id, ranking.shortened(table), "curves.png")
    return folder / "comparison.html"


def _write(folder: Path, rows: list[dict[str, Any]], content: dict[str, Any], pages: str | None) -> None:
    """Write the figures, the page, and its content as JSON; `pages` is the address of a server that has the runs."""
    from pipeline.plots import comparison, page

    data = content["data"]
    figures = {name: folder / f"{name}.png" for name in ("curves", "accuracies")}
    folder.mkdir(parents=True, exist_ok=True)
    histories = {row["label"]: [run.history for run in row["runs"]] for row in rows}
    comparison.curves(figures["curves"], histories, data["name"])
    comparison.accuracies(figures["accuracies"], rows, f"Accuracy on {data['name']} {data['split']}")
    listed = [{key: value for key, value in row.items() if key not in ("correct", "runs")} for row in rows]
    files.write_json(folder / "comparison.json", {"rows": listed, **content})
    pictures = {name: page.picture(figure) for name, figure in figures.items()}
    synthetic = data["name"] == "synthetic"
    written = page.render(TEMPLATE, rows=listed, **content, pictures=pictures, synthetic=synthetic, pages=pages)
    files.replace(folder / "comparison.html", written.encode())


def _table(rows: list[dict[str, Any]]) -> list[list[str]]:
    table = [["", "configuration", "runs", "accuracy", "95% interval", "± sd", "macro F1", "loss", "ECE", "minutes"]]
    for place, row in enumerate(rows, 1):
        deviation = f"{row['deviation']:.2%}" if row["deviation"] is not None else ""
        numbers = [f"{row['accuracy']:.2%}", interval(row["low"], row["high"]), deviation]
        numbers += [f"{row['macro_f1']:.3f}", f"{row['loss']:.4f}", f"{row['ece']:.1%}", f"{row['minutes']:.1f}"]
        table.append([str(place), row["label"], str(len(row["runs"])), *numbers])
    return table


if __name__ == "__main__":
    main()
