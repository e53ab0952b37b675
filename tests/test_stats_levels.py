"""Alpha spending and Bonferroni, by formula and by simulation."""

import math

import numpy as np
import pytest

from vlmgate import stats


def test_look_levels_are_the_pocock_type_spending_of_lan_and_demets():
    levels = stats.look_levels(0.01)
    assert sum(levels) == pytest.approx(0.01)
    assert levels[0] == pytest.approx(0.01 * math.log(1 + (math.e - 1) * 0.25))
    assert levels[0] + levels[1] == pytest.approx(0.01 * math.log(1 + (math.e - 1) * 0.5))
    assert stats.look_levels(0.05, (24,)) == pytest.approx((0.05,))
    assert stats.line_level(0.01, 4) == 0.0025
    assert stats.coverage(0.025) == pytest.approx(0.95)


@pytest.mark.parametrize("looks", [(), (0, 6), (6, 6), (12, 6)])
def test_looks_must_grow(looks):
    with pytest.raises(ValueError, match="looks need"):
        stats.look_levels(0.01, looks)


def ever_wrong(rows, looks, alpha):
    """Does any look of a row put its one-sided interval past the truth, 0?"""
    plan = list(zip(looks, stats.look_levels(alpha, looks), strict=True))
    return any(stats.t_interval(rows[:n], stats.coverage(error)).low > 0 for n, error in plan)


@pytest.mark.parametrize("looks", [(6, 12, 24), (3, 6, 12, 24)])
def test_all_looks_together_keep_the_error(looks):
    draws = np.random.default_rng(11).normal(0, 0.03, (8_000, 24))
    rate = np.mean([ever_wrong(row, looks, 0.05) for row in draws])
    assert 0.02 < rate <= 0.05


def test_looks_and_lines_together_keep_the_family_error():
    draws, alpha, lines = np.random.default_rng(12).normal(0, 0.03, (4_000, 4, 24)), 0.05, 4
    each = stats.line_level(alpha, lines)
    rate = np.mean([any(ever_wrong(line, (6, 12, 24), each) for line in run) for run in draws])
    assert 0.02 < rate <= 0.05
