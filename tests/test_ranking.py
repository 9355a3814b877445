"""Tables of many trainings, and the summary of seeds."""

import pytest

from pipeline.metrics.constant import constant_class, still_constant
from pipeline.sweep import ranking, summary


def table(rows: int) -> str:
    return ranking.aligned([["", "configuration"], *([str(i), "optimizer.learning_rate=0.001"] for i in range(rows))])


def test_a_table_that_fits_a_description_stays_whole():
    assert ranking.shortened(table(20)) == table(20)


def test_a_longer_one_ends_after_a_row_and_says_how_many_are_left_out():
    whole = table(1000).splitlines()
    *rows, blank, last = ranking.shortened(table(1000)).splitlines()
    left_out = len(whole) - len(rows)
    assert 100 < len(rows) < 1000
    assert rows == whole[: len(rows)]
    assert (blank, last) == ("", f"The other {left_out} rows are in the table among the artifacts.")
    assert len("\n".join(rows)) <= ranking.MOST


def score(accuracy: float, *recalls: float) -> dict:
    emotions = {str(i): {"recall": recall, "images": 5} for i, recall in enumerate(recalls or (0.6, 0.4))}
    bounds = {"accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.012}
    return {"accuracy": accuracy, **bounds, "macro_f1": 0.4, "emotions": emotions}


def test_several_seeds_are_a_mean_and_the_deviation_of_a_sample():
    found = summary.over_seeds([score(0.5), score(0.52), score(0.57)])
    assert found == {
        "mean": pytest.approx(0.53),
        "deviation": pytest.approx(0.036056, abs=1e-6),
        "each": [0.5, 0.52, 0.57],
    }
    assert summary.accuracy(found) == "53.00% ± 3.61"


def test_one_seed_has_the_interval_of_its_images():
    assert summary.mean_and_deviation([0.5]) == (0.5, None)
    assert summary.accuracy(summary.over_seeds([score(0.5)])) == "50.00% (49.0% to 51.2%)"


def test_a_ranking_has_a_line_for_each_configuration_with_the_deviation_or_the_interval():
    def result(accuracy: float, *swept: str) -> dict:
        return {"swept": swept, "val": score(accuracy), "epoch": 3, "minutes": 1.5}

    table = ranking.ranked([result(0.5, "a=1"), result(0.6, "a=2", "seed=1"), result(0.7, "a=2", "seed=2")])
    assert ranking.markdown(table).splitlines() == [
        "|   | configuration | val accuracy |                 | macro F1 | best epoch | minutes |",
        "|---|---------------|--------------|-----------------|----------|------------|---------|",
        "| 1 | a=2           | 65.00%       | ± 7.1%, 2 seeds | 0.400    | 3, 3       | 1.5     |",
        "| 2 | a=1           | 50.00%       | 49.0% to 51.2%  | 0.400    | 3          | 1.5     |",
    ]


@pytest.mark.parametrize(
    ("recalls", "only"),
    [((0, 1, 0), "1"), ((1, 0), "0"), ((1, 1), None), ((0.9, 0), None), ((0, 0), None), ((1,), None)],
)
def test_a_model_that_predicts_one_class_is_recognized_by_its_recalls(recalls, only):
    assert constant_class(score(0.5, *recalls)) == only


def test_a_class_without_images_says_nothing():
    scores = score(0.5, 1, 0, 0)
    scores["emotions"]["2"]["images"] = 0
    assert constant_class(scores) == "0"


@pytest.mark.parametrize(
    ("accuracies", "constant"),
    [
        ([0.25, 0.25, 0.25], True),
        ([0.5, 0.5, 0.5], True),
        ([0.25, 0.5, 0.25], False),  # another class each time: it moves
        ([0.25, 0.25, 0.26], False),
        ([0.25, 0.25], False),
        ([0.25] * 4, False),  # said once
    ],
)
def test_a_training_that_stays_at_one_class_is_known_after_three_epochs(accuracies, constant):
    history = [{"epoch": i, "val_accuracy": accuracy} for i, accuracy in enumerate(accuracies, 1)]
    assert still_constant(history, [25, 50, 25]) is constant
