"""Clopper-Pearson intervals against SciPy's and against what they promise."""

import pytest
from scipy.stats import binom, binomtest

from vlmgate.selftest.rates import Rate, rate


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 300), (1, 20), (150, 300), (299, 300), (300, 300)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_it_is_the_exact_interval(hits: int, n: int, level: float) -> None:
    expected = binomtest(hits, n).proportion_ci(level, method="exact")
    assert Rate(hits, n).interval(level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_it_covers_at_least_as_often_as_it_says() -> None:
    for truth in (0.01, 0.05, 0.3):
        covered = sum(
            binom.pmf(k, 60, truth) for k in range(61) if Rate(k, 60).interval()[0] <= truth <= Rate(k, 60).interval()[1]
        )
        assert covered >= 0.95


def test_words() -> None:
    assert str(rate([True, False, False, False])) == "25.0 % (0.6 to 80.6, 1 of 4)"
    assert rate([True, False, False, False]).brief == "25.0 % (0.6 to 80.6)"
    assert str(rate([])) == rate([]).brief == "—"
    assert rate([]).share != rate([]).share
