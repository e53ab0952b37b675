"""Blocks and images needed, power and detectable drop against SciPy and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import wobble
from scipy import stats as scipy_stats

from vlmgate import stats
from vlmgate.spec import Estimate, StandardError
from vlmgate.stats import Prior


def test_power_agrees_with_simulation():
    rng, sd, distance, level = np.random.default_rng(9), 0.045, 0.06, 0.98
    for df, extra in itertools.product((0, 20), (0, 3)):
        reach = (scipy_stats.t.ppf((1 + level) / 2, df + k - 1) * sd / math.sqrt(k) for k in range(2, 99))
        n, decided = 2 + extra + next(i for i, half in enumerate(reach) if half < distance), 0
        for _ in range(4_000):
            prior = Prior(*stats.moderated_sd(rng.normal(0, sd, df + 1))) if df else None
            decided += stats.t_interval(rng.normal(distance, sd, n), level, prior).low > 0
        predicted = stats.power(sd, df, n, distance, level)
        assert decided / 4_000 == pytest.approx(predicted, abs=0.02)
        assert 0.4 < predicted < 0.9


def test_power_at_the_ends():
    assert stats.power(0.02, 0, 1, 0.1, 0.95) == 0.0
    assert stats.power(0.0, 0, 6, 0.1, 0.95) == 1.0
    assert stats.power(0.02, 0, 6, 0.0, 0.95) == pytest.approx(0.025)


def test_detectable_drop_is_the_drop_that_brings_the_upper_end_to_one():
    estimate = Estimate(0.98, 0.95, 1.01, 100, 0.95, "")
    drop = stats.detectable_drop(estimate)
    assert (1 - drop) * estimate.high / estimate.centre == pytest.approx(1.0)
    assert drop == pytest.approx(0.0297, abs=1e-4)
    assert stats.detectable_drop(Estimate(1.0, 1.0, 1.0, 5, 0.95, "")) == 0.0
    assert stats.detectable_drop(Estimate(math.nan, -math.inf, math.inf, 5, 0.95, "")) == 1.0
    assert stats.detectable_drop(Estimate(0.0, 0.0, 0.0, 5, 0.95, "")) == 1.0


def test_a_truth_far_beyond_the_line_is_found_for_certain() -> None:
    assert stats.power(0.005, 0, 8, 0.0946, 0.98) == pytest.approx(1.0)  # scipy.special.nctdtr alone gives nan here


@given(st.floats(0.005, 0.1), st.sampled_from([0, 23]), st.integers(2, 24), st.floats(0, 0.1), st.floats(0.001, 0.05))
@settings(max_examples=60, deadline=None)
def test_power_grows_with_distance_and_falls_with_spread(sd, df, blocks, distance, more):
    base = stats.power(sd, df, blocks, distance, 0.98)
    assert stats.power(sd, df, blocks, distance + more, 0.98) >= base - 1e-9
    assert stats.power(sd + more, df, blocks, distance, 0.98) <= base + 1e-9
    assert stats.power(sd, df, blocks + 4, distance, 0.98) >= base - 0.005  # never below the error itself, nearly


def test_power_with_one_block_needs_a_prior():
    assert stats.power(0.02, 23, 1, 0.1, 0.95) > 0.9


def test_needed_blocks_or_images_shrink_the_interval_to_the_line():
    estimate = Estimate(0.98, 0.95, 1.01, 100, 0.95, "")
    n = stats.needed(estimate, 0.97, 100_000)
    assert n is not None and math.log(0.98 / 0.95) / math.sqrt(n / 100) == pytest.approx(math.log(0.98 / 0.97), rel=0.01)
    assert stats.needed(estimate, 0.94, 100_000) == 100
    assert stats.needed(estimate, 1.0, 100_000) > 100
    assert stats.needed(estimate, 0.98, 100_000) is None
    assert stats.needed(estimate, 0.97, n - 1) is None and stats.needed(estimate, 0.97, n + 1) == n
    assert stats.needed(estimate, 0.0, 100_000) is None
    assert stats.needed(Estimate(math.nan, -math.inf, math.inf, 5, 0.95, ""), 0.9, 100_000) is None


SD, RUNS = 0.045, 4_000
LEVEL = stats.coverage(0.001)
KNOWN = Prior(SD, 23)


def seen(n, sd=SD):
    """Block values with exactly this spread."""
    return wobble(n, sd)


KINDS = {  # what a run sees of blocks that come out at their true spread, and another run of the same
    "6 blocks": (stats.t_interval(seen(6), LEVEL), lambda rng, now: stats.t_interval(now + rng.normal(0, SD, 6), LEVEL)),
    "24 blocks": (stats.t_interval(seen(24), LEVEL), lambda rng, now: stats.t_interval(now + rng.normal(0, SD, 24), LEVEL)),
    "6 steady blocks and an assumed spread": (
        stats.t_interval(seen(6, 0.01), LEVEL, least_sd=0.03),
        lambda rng, now: stats.t_interval(now + rng.normal(0, 0.01, 6), LEVEL, least_sd=0.03),
    ),
    "6 blocks and a promoted spread": (
        stats.t_interval(seen(6), LEVEL, KNOWN),
        lambda rng, now: stats.t_interval(now + rng.normal(0, SD, 6), LEVEL, Prior(*stats.moderated_sd(rng.normal(0, SD, 24)))),
    ),
    "since a baseline, with a spread between runs": (
        stats.difference(seen(6), wobble(24, SD, turn=4), 0.02, LEVEL, KNOWN),
        lambda rng, now: since(rng, now + rng.normal(0, 0.02) + rng.normal(0, SD, 6)),
    ),
    "since a sustained level": (
        stats.against_level(seen(6), stats.Level(0.0, 0.01, 60, 5, "held"), 0.02, LEVEL, KNOWN),
        lambda rng, now: stats.against_level(
            now + rng.normal(0, 0.02) + rng.normal(0, SD, 6),
            stats.Level(float(rng.normal(0, 0.01)), 0.01, 60, 5, "held"),
            0.02,
            LEVEL,
            Prior(*stats.moderated_sd(rng.normal(0, SD, 24))),
        ),
    ),
}


def since(rng, now):
    then = rng.normal(0, 0.02) + rng.normal(0, SD, 24)
    return stats.difference(now, then, 0.02, LEVEL, Prior(*stats.moderated_sd(then)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_growth_that_is_said_to_be_found_is_found_as_often_as_is_said(kind):
    found, again = KINDS[kind]
    growth = stats.detectable(found.error, LEVEL)
    rates = {}
    for share in (1.0, 0.8):
        rng, lost = np.random.default_rng(11), math.log1p(share * growth)
        rates[share] = np.mean([again(rng, -lost).high < 0 for _ in range(RUNS)])
    assert rates[1.0] == pytest.approx(stats.DETECTED, abs=0.03), rates
    assert rates[0.8] < stats.DETECTED - 0.05, "a smaller one would do, so this is not the smallest"


@pytest.mark.parametrize(("n", "level"), [(3, 0.95), (6, 0.98), (24, 0.999)])
def test_what_is_detectable_is_power_turned_round(n, level):
    growth = stats.detectable(stats.t_interval(seen(n), level).error, level)
    assert stats.power(SD, 0, n, math.log1p(growth), level) == pytest.approx(stats.DETECTED, abs=0.005)


def test_detectable_at_the_ends():
    assert stats.detectable(StandardError(0.0, 5), 0.98) == 0.0
    assert stats.detectable(StandardError(0.0, 5, 0.01), 0.98) == pytest.approx(math.expm1(scipy_stats.norm.ppf(0.99) * 0.01))
    known = stats.detectable(StandardError(0.01, math.inf), 0.98)
    assert known == pytest.approx(math.expm1((scipy_stats.norm.ppf(0.99) + scipy_stats.norm.ppf(0.9)) * 0.01))
    assert known < stats.detectable(StandardError(0.01, 5), 0.98) < stats.detectable(StandardError(0.01, 5), 0.98, 0.99)
    assert 1e300 < stats.detectable(StandardError(0.1, 1), 1 - 1e-6) < math.inf, "two blocks at a strict level"
