"""Two errors: those of all lines and looks add up to what was promised, and an interval carries both."""

import pytest

from vlmgate.judge.levels import FAMILY_ERROR, LOOKS, PASS_ERROR, Levels, levels_of, two_levels
from vlmgate.spec import Better
from vlmgate.stats import t_interval


@pytest.mark.parametrize("looks", [LOOKS, (3, 24)])
@pytest.mark.parametrize("lines", [1, 12, 40])
def test_lines_and_looks_spend_what_was_promised(looks, lines):
    spent = [levels_of(lines, looks, look) for look in range(len(looks))]
    assert lines * sum(level.fail for level in spent) == pytest.approx(FAMILY_ERROR)
    assert sum(level.good for level in spent) == pytest.approx(PASS_ERROR)


def test_without_looks_a_line_spends_all_at_once():
    assert levels_of(10, LOOKS, None) == Levels(FAMILY_ERROR / 10, PASS_ERROR)
    assert levels_of(0, LOOKS, None) == Levels(FAMILY_ERROR, PASS_ERROR)


def test_the_end_that_a_fail_needs_is_the_far_one():
    values = [0.1, 0.2, 0.3, 0.15]
    high, low = (two_levels(lambda level: t_interval(values, level), Levels(0.001, 0.05), side) for side in Better)
    assert high.high - high.centre > high.centre - high.low
    assert low.centre - low.low > low.high - low.centre
    assert high.level == pytest.approx(1 - 0.051)
