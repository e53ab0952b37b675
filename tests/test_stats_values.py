"""Block values by hand and their symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmgate import stats


def test_block_value_by_hand_pairs_cells_and_takes_medians_over_rounds():
    reference = [[2.0, 4.0, 8.0], [1.0, 1.0, 1.0]]
    variant = [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0]]  # medians of ln ratio: ln 4 and 0
    assert stats.block_value(reference, variant) == pytest.approx(math.log(4) / 2)
    assert stats.log_time(reference) == pytest.approx(math.log(4) / 2)


def test_block_value_pairs_before_the_median():
    reference, variant = [[1.0, 2.0, 30.0]], [[1.0, 30.0, 2.0]]  # equal medians, yet the paired ratio has one of its own
    assert stats.block_value(reference, variant) == pytest.approx(0.0)
    assert stats.block_value([[1.0, 2.0, 30.0]], [[2.0, 1.0, 3.0]]) == pytest.approx(math.log(2))  # of −ln 2, ln 2, ln 10


@pytest.mark.parametrize("times", [[[1.0, 0.0]], [[1.0, -1.0]], [[1.0, math.nan]], [[math.inf, 1.0]], [1.0, 1.0], [[]]])
def test_times_that_cannot_be_are_refused(times):
    with pytest.raises(ValueError, match="times must be"):
        stats.log_time(times)


def test_block_value_refuses_unpaired_times():
    with pytest.raises(ValueError, match="paired by image and round"):
        stats.block_value([[1.0, 2.0]], [[1.0], [2.0]])


grids = st.integers(1, 4).flatmap(
    lambda rounds: st.lists(st.lists(st.floats(1e-3, 1e3), min_size=rounds, max_size=rounds), min_size=1, max_size=4)
)


@given(grids, grids, st.floats(1e-3, 1e3))
@settings(max_examples=60, deadline=None)
def test_block_value_ignores_the_unit_and_turns_its_sign_when_arms_swap(one, two, scale):
    images, rounds = min(len(one), len(two)), min(len(one[0]), len(two[0]))
    a, b = (np.array(x)[:images, :rounds] for x in (one, two))
    value = stats.block_value(a, b)
    assert stats.block_value(a * scale, b * scale) == pytest.approx(value, abs=1e-9)
    assert stats.block_value(b, a) == pytest.approx(-value, abs=1e-9)
    assert stats.block_value(a * scale, b) == pytest.approx(value + math.log(scale), abs=1e-9)
