"""Blocks and images needed, power and detectable drop against SciPy and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vlmgate import stats
from vlmgate.spec import Estimate
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
