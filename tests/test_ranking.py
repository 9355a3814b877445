"""Tables of many trainings."""

from pipeline.sweep import ranking


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
    assert (blank, last) == ("", f"The {left_out} rows below these stand in the table among the artifacts.")
    assert len("\n".join(rows)) <= ranking.MOST
