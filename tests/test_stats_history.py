"""The spread between runs and the sustained level: by hand, and that neither luck nor drift moves it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmgate.stats import Level, Prior, against_level, between_runs, coverage, difference, sustained

BLOCKS, SD = 24, 0.02


def promotions(rng, means, between=0.0):
    """(mean, sd, n) of runs of 24 blocks around ``means``."""
    blocks = np.asarray(means)[:, None] + rng.normal(0, between, (len(means), 1)) + rng.normal(0, SD, (len(means), BLOCKS))
    return [(float(row.mean()), float(row.std(ddof=1)), BLOCKS) for row in blocks]


def false_alarms(between, count, histories=300, error=0.01):
    """Shares of pure-noise histories that are called slower: by the sustained level, and by it with its luck left in."""
    rng, alarms = np.random.default_rng(3), np.zeros(2)
    for _ in range(histories):
        old = promotions(rng, np.zeros(count), between)
        now = rng.normal(0, between) + rng.normal(0, SD, 6)
        fair = sustained(old, between)
        best = max(np.median([mean for mean, _, _ in old[i : i + 3]]) for i in range(count - 2))
        levels = (fair, replace(fair, mean=float(best)))
        alarms += [against_level(now, each, between, coverage(error), Prior(old[-1][1], BLOCKS - 1)).high < 0 for each in levels]
    return alarms / histories


@pytest.mark.parametrize("between", [0.0, 0.02])
def test_twenty_promotions_of_noise_do_not_ratchet(between):
    fair, naive = false_alarms(between, 20)
    assert fair <= 0.03
    assert naive > fair


def test_drift_below_the_margin_is_seen_against_the_sustained_level():
    old = promotions(np.random.default_rng(1), -0.02 * np.arange(10), 0.003)  # 2 % slower at every promotion
    now = np.full(6, -0.2) + np.random.default_rng(2).normal(0, SD, 6)
    margin, prior = 0.03, Prior(old[-1][1], BLOCKS - 1)
    last = np.random.default_rng(4).normal(old[-1][0], SD, BLOCKS)
    level = sustained(old, 0.003)
    assert level is not None
    assert difference(now, last, 0.003, 0.99, prior).high > -margin
    assert against_level(now, level, 0.003, 0.99, prior).high < -margin


def test_the_level_is_the_best_median_of_three_less_its_luck():
    levels = [(0.10, 0.02, 24), (0.30, 0.02, 24), (0.20, 0.02, 24), (0.05, 0.02, 24)]
    found = sustained(levels)
    assert found is not None
    noise = 0.02 / math.sqrt(24)
    assert found.mean == pytest.approx(0.20 - 0.25 * noise, abs=0.1 * noise)  # medians 0.2 and 0.2; of noise the better is lucky
    assert 0.5 * noise < found.error < 0.75 * noise
    assert (found.df, found.promotions) == (92, 4)
    assert "best running median of 3 in 4 promotions" in found.signature


def test_three_promotions_are_their_median_with_its_error():
    found = sustained([(0.1, 0.02, 24), (0.2, 0.02, 24), (0.4, 0.02, 24)], between_sd=0.01)
    assert found is not None
    noise = math.sqrt(0.02**2 / 24 + 0.01**2)
    assert found.mean == pytest.approx(0.2, abs=0.05 * noise)
    assert found.error == pytest.approx(0.6698 * noise, rel=0.04)  # sd of the median of three normals


def test_one_lucky_promotion_does_not_move_the_level():
    steady = [(0.1, 0.01, 24)] * 9
    lucky = [*steady[:4], (0.5, 0.01, 24), *steady[:4]]
    assert sustained(lucky) == sustained(steady)


def test_too_few_promotions_have_no_level():
    assert sustained([]) is None and sustained([(0.1, 0.01, 24)] * 2) is None


def test_single_blocks_know_no_spread_but_that_between_runs():
    found = sustained([(0.1, None, 1)] * 3, between_sd=0.02)
    assert found is not None and found.df == 1
    assert found.error == pytest.approx(0.6698 * 0.02, rel=0.04)


@pytest.mark.parametrize("bad", [(math.nan, 0.01, 24), (0.1, math.nan, 24), (math.inf, 0.01, 24), (0.1, 0.01, 0)])
def test_a_broken_promotion_is_no_level(bad):
    with pytest.raises(ValueError):
        sustained([(0.1, 0.01, 24), (0.1, 0.01, 24), bad])


histories = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 0.1), st.integers(2, 40)), min_size=3, max_size=8)


@given(histories, st.floats(-1, 1), st.floats(0, 0.05))
@settings(max_examples=40, deadline=None)
def test_a_shift_of_all_shifts_the_level_and_a_better_last_never_lowers_it(levels, shift, between):
    found = sustained(levels, between)
    moved = sustained([(mean + shift, sd, n) for mean, sd, n in levels], between)
    better = sustained([*levels[:-1], (levels[-1][0] + abs(shift), *levels[-1][1:])], between)
    assert moved.mean == pytest.approx(found.mean + shift)
    assert moved.error == pytest.approx(found.error)
    assert better.mean >= found.mean


LEVEL = Level(0.1, 0.01, 50, 5, "five")


def test_against_a_level_all_errors_count():
    wide = against_level([0.0, 0.02], LEVEL, 0.03, 0.9, Prior(0.02, math.inf), math.inf)
    assert wide.centre == pytest.approx(-0.09)
    total = math.sqrt(0.02**2 / 2 + 0.03**2 + 0.01**2)
    assert wide.centre - wide.low == pytest.approx(1.645 * total, rel=0.01)
    assert "five" in wide.signature


@pytest.mark.parametrize("values", [[], [0.1]])
def test_against_a_level_too_few_values_are_infinite(values):
    found = against_level(values, LEVEL, 0.01, 0.9)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_against_a_level_blocks_that_agree_by_luck_are_no_narrower_than_the_least_spread():
    lucky, spread = [0.1, 0.1001, 0.0999, 0.1], [0.0, 0.2, 0.05, 0.15]
    least = against_level(lucky, LEVEL, 0.01, 0.9, least_sd=0.03)
    assert least.high - least.centre == pytest.approx(1.645 * math.sqrt(0.03**2 / 4 + 0.01**2 + 0.01**2), rel=1e-3)
    assert least.centre - least.low == pytest.approx(least.high - least.centre) and "an sd of 0.03" in least.signature
    wide = against_level(spread, LEVEL, 0.01, 0.9)
    kept = against_level(spread, LEVEL, 0.01, 0.9, least_sd=0.03)
    assert (kept.low, kept.high) == (wide.low, wide.high), "a wider one stays as it is"
    few = against_level([0.1], LEVEL, 0.01, 0.9, least_sd=0.03)
    assert (few.low, few.high) == (-math.inf, math.inf)


def test_between_runs_by_hand():
    runs = [(0.0, 0.02, 4), (0.1, 0.02, 4), (0.2, 0.02, 4)]
    found = between_runs(runs)
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(0.01 - 0.02**2 / 4)) and found.df == 2
    assert between_runs(runs[:1]) is None
    same = between_runs([(0.1, 0.02, 4)] * 3)
    assert same is not None and same.sd == 0


@pytest.mark.parametrize("between", [0.0, 0.01, 0.02])
def test_between_runs_is_right_on_average(between):
    rng = np.random.default_rng(6)
    found = [between_runs(promotions(rng, np.zeros(10), between)) for _ in range(500)]
    mean = math.sqrt(np.mean([each.sd**2 for each in found]))
    assert abs(mean - between) < 0.0025
