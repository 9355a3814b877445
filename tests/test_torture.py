"""The short form of the suite of faults: a few of each kind, and nothing lost."""

import pytest

from tests.torture.parts import PARTS, faults

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_lost(part, tmp_path):
    outcomes = list(faults(part, tmp_path, short=True))
    assert outcomes
    assert [outcome for outcome in outcomes if outcome.lost] == []
