"""Intervals against SciPy and by simulation: Student's and moderated t, difference of two runs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vlmgate import stats
from vlmgate.spec import Estimate
from vlmgate.stats import Prior

Z = scipy_stats.norm.ppf


def covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def test_moderated_sd_is_the_formula_of_limma():
    values = [0.0, 0.1, 0.2]  # s_B² = 0.01 on 2 df
    sd, df = stats.moderated_sd(values, Prior(0.05, 8))
    assert df == 10
    assert sd**2 == pytest.approx((8 * 0.05**2 + 2 * 0.01) / 10)


def test_moderated_sd_at_the_ends():
    assert stats.moderated_sd([0.0, 0.1, 0.2]) == pytest.approx((0.1, 2))
    assert stats.moderated_sd([0.3], Prior(0.05, 8)) == pytest.approx((0.05, 8))
    assert stats.moderated_sd([0.0, 0.1, 0.2], Prior(0.05, math.inf)) == pytest.approx((0.05, math.inf))
    sd, df = stats.moderated_sd([0.3])
    assert math.isnan(sd) and df == 0


@pytest.mark.parametrize("sd, df", [(-0.1, 5), (0.1, 0), (math.nan, 5), (math.inf, 5), (0.1, math.nan)])
def test_a_prior_that_says_nothing_is_refused(sd, df):
    with pytest.raises(ValueError, match="a prior needs"):
        Prior(sd, df)


@pytest.mark.parametrize("n", [2, 3, 6, 24])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.9995])
def test_t_interval_equals_scipy(n, level):
    values = np.random.default_rng(n).normal(1, 0.1, n)
    found = stats.t_interval(values, level)
    low, high = scipy_stats.t.interval(level, n - 1, values.mean(), scipy_stats.sem(values))
    assert (found.low, found.centre, found.high) == pytest.approx((low, values.mean(), high))
    assert (found.n, found.level, found.signature) == (n, level, f"t, {n} blocks, df {n - 1}")


def test_moderated_t_interval_equals_scipy_and_says_so():
    values = [0.0, 0.1, 0.2]
    found = stats.t_interval(values, 0.95, Prior(0.015, 20))
    half = scipy_stats.t.ppf(0.975, 22) * math.sqrt((20 * 0.015**2 + 2 * 0.01) / 22 / 3)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
    assert found.signature == "moderated t, 3 blocks, prior sd 0.015 on 20 df"


def test_an_exact_prior_gives_the_normal_interval():
    found = stats.t_interval([0.0, 0.5], 0.9, Prior(0.1, math.inf))
    assert found.high - found.centre == pytest.approx(Z(0.95) * 0.1 / math.sqrt(2))


def test_too_few_values_give_an_infinite_interval():
    one, none = stats.t_interval([0.2], 0.95), stats.t_interval([], 0.95)
    assert (one.centre, one.low, one.high) == (0.2, -math.inf, math.inf)
    assert math.isnan(none.centre) and (none.low, none.high, none.n) == (-math.inf, math.inf, 0)
    assert math.isinf(stats.t_interval([], 0.95, Prior(0.1, 20)).high)
    assert stats.t_interval([0.2], 0.95, Prior(0.1, 20)).high == pytest.approx(0.2 + scipy_stats.t.ppf(0.975, 20) * 0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_inf_are_no_estimate(bad):
    for call in (lambda x: stats.t_interval(x, 0.95), lambda x: stats.difference([1.0], x, 0, 0.95)):
        with pytest.raises(ValueError, match="values must be finite"):
            call([0.1, bad])


@pytest.mark.parametrize("level", [0.0, 1.0, 95, math.nan])
def test_a_level_outside_its_range_is_refused(level):
    with pytest.raises(ValueError, match="level is a coverage"):
        stats.t_interval([0.0, 0.1], level)


rows = st.lists(st.floats(-10, 10), min_size=1, max_size=12)
priors = st.none() | st.builds(Prior, st.floats(1e-6, 10), st.floats(0.5, 100))


@given(rows, rows, priors, st.floats(0, 1), st.floats(0.01, 0.98), st.floats(0.001, 0.01))
@settings(max_examples=150, deadline=None)
def test_intervals_contain_their_centre_and_widen_with_the_level(now, base, prior, between, level, more):
    for interval in (
        lambda at: stats.t_interval(now, at, prior),
        lambda at: stats.difference(now, base, between, at, prior),
        lambda at: stats.as_ratio(stats.t_interval(now, at, prior)),
    ):
        narrow, wide = interval(level), interval(level + more)
        assert wide.low <= narrow.low <= narrow.centre <= narrow.high <= wide.high


@pytest.mark.parametrize("n", [3, 6, 12, 24])
def test_coverage_on_normal_blocks_is_nominal(n):
    draws = np.random.default_rng(n).normal(0.3, 0.045, (10_000, n))
    for level in (0.9, 0.99):
        share = np.mean([covers(stats.t_interval(row, level), 0.3) for row in draws])
        assert abs(share - level) < 0.01


def test_coverage_with_a_promoted_spread_is_nominal():
    rng = np.random.default_rng(7)
    hits = [
        covers(stats.t_interval(rng.normal(0, 1, 3), 0.95, Prior(*stats.moderated_sd(rng.normal(0, 1, 24)))), 0)
        for _ in range(10_000)
    ]
    assert abs(np.mean(hits) - 0.95) < 0.01


def two_modes(rng, shape):
    """Block values of processes that fall into a slow layout one time in five; the mean is 0."""
    return rng.choice([0.0, 0.08], p=[0.8, 0.2], size=shape) - 0.016 + rng.normal(0, 0.005, shape)


@pytest.mark.parametrize("error", [0.0033, 0.01, 0.05])
def test_a_promoted_spread_tames_two_modes_where_the_raw_t_does_not(error):
    rng, level, worst = np.random.default_rng(0), stats.coverage(error), {}
    blocks, promoted = two_modes(rng, (10_000, 6)), two_modes(rng, (10_000, 21))
    plain = [stats.t_interval(row, level) for row in blocks]
    moderated = [stats.t_interval(row, level, Prior(*stats.moderated_sd(old))) for row, old in zip(blocks, promoted, strict=True)]
    for name, estimates in (("plain", plain), ("moderated", moderated)):
        worst[name] = max(np.mean([e.low > 0 for e in estimates]), np.mean([e.high < 0 for e in estimates]))
    assert worst["plain"] > 4 * error
    assert worst["moderated"] <= 2 * error


def test_as_ratio_keeps_the_verdict_and_the_infinite():
    found = stats.as_ratio(stats.t_interval([math.log(2), math.log(8)], 0.5))
    assert found.centre == pytest.approx(4) and found.low < 4 < found.high and found.signature.startswith("ratio, t, 2")
    nothing = stats.as_ratio(stats.t_interval([0.0], 0.95))
    assert (nothing.low, nothing.high) == (0.0, math.inf)


def test_difference_without_between_run_spread_is_students_pooled_interval():
    rng = np.random.default_rng(3)
    now, base = rng.normal(0, 1, 6), rng.normal(0.5, 1, 24)
    found = stats.difference(now, base, 0, 0.95)
    expected = scipy_stats.ttest_ind(now, base).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.signature == "difference, 6 and 24 blocks, between-run sd 0"
    same = stats.difference(now, base, 0, 0.95, Prior(*stats.moderated_sd(base)))
    assert (same.low, same.high) == pytest.approx((found.low, found.high))


def test_difference_adds_two_runs_of_between_run_spread():
    found = stats.difference([0.1], [0.0, 0.0], 0.02, 0.9, Prior(0.03, math.inf))
    assert found.centre == pytest.approx(0.1)
    assert found.high - 0.1 == pytest.approx(Z(0.95) * math.sqrt(0.03**2 * 1.5 + 2 * 0.02**2))
    within, between = 0.03**2 * 1.5, 2 * 0.02**2
    df = (within + between) ** 2 / (within**2 / 20 + between**2 / 4)
    few = stats.difference([0.1], [0.0, 0.0], 0.02, 0.9, Prior(0.03, 20), between_df=4)
    assert few.high - 0.1 == pytest.approx(scipy_stats.t.ppf(0.95, df) * math.sqrt(within + between))


def test_difference_with_too_little_on_a_side_is_infinite():
    for now, base in (([], [0.1, 0.2]), ([0.1], []), ([0.1], [0.2])):
        found = stats.difference(now, base, 0.01, 0.95)
        assert (found.low, found.high) == (-math.inf, math.inf)
    assert math.isfinite(stats.difference([0.1], [0.2, 0.3], 0, 0.95).high)


@pytest.mark.parametrize("counted, wrong_at_most", [(True, 0.06), (False, 1.0)])
def test_difference_covers_only_with_the_between_run_spread_counted(counted, wrong_at_most):
    rng, runs, misses = np.random.default_rng(5), 4_000, 0
    for shift in rng.normal(0, 0.02, (runs, 2)):
        now, base = shift[0] + rng.normal(0, 0.02, 6), shift[1] + rng.normal(0, 0.02, 24)
        misses += not covers(stats.difference(now, base, 0.02 if counted else 0, 0.95), 0)
    assert misses / runs <= wrong_at_most
    assert counted or misses / runs > 0.3


# ── the least spread ──


def test_intervals_hold_the_promoted_spread_when_blocks_agree_by_luck():
    values, prior = [0.1, 0.101, 0.102], Prior(0.05, 20)
    assert stats.moderated_sd(values, prior)[0] < stats.held_sd(values, prior)[0] == 0.05
    half = scipy_stats.t.ppf(0.975, 22) * 0.05 / math.sqrt(3)
    assert stats.t_interval(values, 0.95, prior).high - 0.101 == pytest.approx(half)
    found = stats.difference(values, [0.1, 0.2], 0, 0.95, prior)
    assert found.high - found.centre == pytest.approx(scipy_stats.t.ppf(0.975, 22) * 0.05 * math.sqrt(1 / 3 + 1 / 2))
    assert stats.held_sd([0.0, 0.1, 0.2], Prior(0.05, 20)) == stats.moderated_sd([0.0, 0.1, 0.2], Prior(0.05, 20))


@pytest.mark.parametrize("base", [None, [0.1, 0.2, 0.3]])
def test_an_assumed_spread_widens_steady_blocks_and_leaves_noisy_ones(base):
    def interval(values, least):
        if base is None:
            return stats.t_interval(values, 0.9, least_sd=least)
        return stats.difference(values, base, 0.01, 0.9, least_sd=least)

    steady, noisy = [0.1, 0.1001, 0.1002, 0.1003], [-1.0, 0.0, 1.0, 2.0]
    wide = interval(steady, 0.3)
    error = math.sqrt(0.3**2 / 4 if base is None else 0.3**2 * (1 / 4 + 1 / 3) + 2 * 0.01**2)
    assert wide.high - wide.centre == pytest.approx(Z(0.95) * error)
    assert wide.centre - wide.low == pytest.approx(Z(0.95) * error)
    assert "no narrower than for an sd of 0.3" in wide.signature
    plain, held = interval(noisy, 0.0), interval(noisy, 0.03)
    assert (plain.low, plain.high) == (held.low, held.high)


@given(rows, priors, st.floats(0, 0.1), st.floats(0.01, 0.98))
@settings(max_examples=100, deadline=None)
def test_many_rows_at_once_give_the_same_interval(values, prior, least, level):
    one = stats.t_interval(values, level, prior, least)
    both = np.array([values, values[::-1]])
    halves = stats.half_widths(both, level, [prior.sd] * 2 if prior else None, prior.df if prior else 0.0, least)
    assert halves == pytest.approx([one.high - one.centre] * 2, rel=1e-6, abs=1e-9)


@given(rows, st.floats(0.1, 10), st.floats(-5, 5), priors)
@settings(max_examples=60, deadline=None)
def test_an_interval_scales_and_shifts_with_its_values(values, scale, shift, prior):
    moved = Prior(prior.sd * scale, prior.df) if prior else None
    one, two = stats.t_interval(values, 0.95, prior), stats.t_interval(np.array(values) * scale + shift, 0.95, moved)
    assert (two.low, two.high) == pytest.approx((one.low * scale + shift, one.high * scale + shift), rel=1e-6, abs=1e-6)


@given(st.floats(1e-3, 1), st.floats(1e-3, 1), st.floats(0.5, 0.999))
@settings(max_examples=60, deadline=None)
def test_a_larger_promoted_spread_never_narrows(one, two, level):
    small, large = sorted((one, two))
    a, b = (stats.t_interval([0.1, 0.2, 0.4], level, Prior(sd, 23)) for sd in (small, large))
    assert b.low <= a.low and a.high <= b.high


def test_an_interval_says_its_standard_error_and_that_error_gives_the_interval_again():
    now, then, prior = [0.0, 0.1, 0.2, 0.15], [0.1, 0.05, 0.2], Prior(0.05, 20)
    for found in (
        stats.t_interval(now, 0.98),
        stats.t_interval(now, 0.98, prior, 0.03),
        stats.t_interval([0.0, 0.001, 0.002], 0.98, least_sd=0.03),
        stats.difference(now, then, 0.02, 0.98, prior),
        stats.difference(now, then, 0.0, 0.98, least_sd=0.2),
        stats.difference(now, then, 0.05, 0.98, prior, 4),
    ):
        error = found.error
        half = max(scipy_stats.t.ppf(0.99, error.df) * error.value, Z(0.99) * error.least)
        assert (found.centre - half, found.centre + half) == pytest.approx((found.low, found.high))
        assert stats.as_ratio(found).error == error
    assert stats.t_interval([0.2], 0.98).error is None and stats.t_interval([], 0.98, prior).error is None
