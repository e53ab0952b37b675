"""The statistics against SciPy, against arithmetic by hand, and against simulation with fixed seeds."""

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

Z = scipy_stats.norm.ppf


def mean_score(rows, counts):
    return counts @ rows[:, 0] / counts.sum(axis=1)


def covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


# ── block values ──


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


# ── moderated spread and t intervals ──


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


# ── difference with the baseline ──


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


# ── looks and lines ──


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


# ── images ──


def arms(n, seed=0, retention=0.9):
    rng = np.random.default_rng(seed)
    reference = rng.lognormal(0, 0.5, (n, 1))
    return reference * retention * rng.lognormal(0, 0.2, (n, 1)), reference


def test_bootstrap_of_a_known_ratio_of_means_agrees_with_the_delta_method():
    variant, reference = arms(400)
    found = stats.bootstrap_ratio(variant, reference, mean_score, level=0.95)
    ratio = variant.mean() / reference.mean()
    error = (variant - ratio * reference).std(ddof=1) / reference.mean() / math.sqrt(400)
    assert found.centre == pytest.approx(ratio)
    assert (found.low, found.high) == pytest.approx((ratio - 1.96 * error, ratio + 1.96 * error), abs=0.15 * error)
    assert found.signature == "paired bootstrap, expanded percentile, 10000 draws over 400 images, seed 0"


def test_bootstrap_is_reproducible_and_moves_with_the_seed():
    first, again, other = (stats.bootstrap_ratio(*arms(50), mean_score, level=0.9, draws=500, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.low != other.low and first.centre == other.centre


def test_bootstrap_pairs_the_images():
    variant, reference = arms(200)
    shuffled = np.random.default_rng(1).permutation(variant)
    paired, unpaired = (stats.bootstrap_ratio(x, reference, mean_score, level=0.95, draws=2_000) for x in (variant, shuffled))
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_bootstrap_counts_do_not_depend_on_the_chunks(monkeypatch):
    whole = stats.bootstrap_ratio(*arms(40), mean_score, level=0.9, draws=1_000)
    monkeypatch.setattr(stats, "_CELLS", 40 * 7)
    parts = stats.bootstrap_ratio(*arms(40), mean_score, level=0.9, draws=1_000)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), rel=1e-12)


def test_resamples_are_multinomial():
    counts = np.concatenate(list(stats._resamples(10, 20_000, 3)))
    assert counts.shape == (20_000, 10) and (counts.sum(axis=1) == 10).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.05)
    assert counts.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.05)


def test_the_tail_rule_switches_at_ten_draws_and_says_so():
    variant, reference = arms(500)
    body = stats.bootstrap_ratio(variant, reference, mean_score, level=0.98, draws=2_000)
    tail = stats.bootstrap_ratio(variant, reference, mean_score, level=0.999, draws=2_000)
    assert "expanded percentile" in body.signature and "normal tail on the log ratio" in tail.signature
    assert tail.low < body.low < body.high < tail.high
    reach = math.log(tail.high / tail.centre)
    assert reach == pytest.approx(math.log(tail.centre / tail.low))
    assert reach / math.log(body.high / body.centre) == pytest.approx(Z(0.9995) / Z(0.99), rel=0.1)


@pytest.mark.parametrize("level", [0.95, 0.9999])
def test_identical_arms_are_one_exactly(level):
    reference = arms(30)[1]
    found = stats.bootstrap_ratio(reference, reference.copy(), mean_score, level=level)
    assert (found.low, found.centre, found.high) == (1.0, 1.0, 1.0)
    assert found.signature == "equal statistics on all 30 images"


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_reference_without_a_score_is_never_a_pass(value):
    for variant in (np.full((20, 1), value), np.zeros((0, 1))):
        found = stats.bootstrap_ratio(variant, np.zeros_like(variant), mean_score, level=0.95)
        assert math.isnan(found.centre) and (found.low, found.high) == (-math.inf, math.inf)
        assert found.signature.startswith("ratio undefined")


def test_a_reference_whose_score_is_nan_is_undefined():
    found = stats.bootstrap_ratio(*arms(20), lambda rows, counts: np.full(len(counts), np.nan), level=0.95)
    assert math.isnan(found.centre) and math.isinf(found.high)


@pytest.mark.parametrize("level", [0.95, 0.9999])
def test_a_collapsed_variant_is_seen_at_every_level(level):
    reference = arms(60)[1]
    found = stats.bootstrap_ratio(np.zeros_like(reference), reference, mean_score, level=level, draws=1_000)
    assert (found.low, found.centre, found.high) == (0.0, 0.0, 0.0)
    almost = np.zeros_like(reference)
    almost[0] = reference[0]
    found = stats.bootstrap_ratio(almost, reference, mean_score, level=level, draws=1_000)
    assert found.low <= found.centre <= found.high < 0.5


@pytest.mark.parametrize("level", [0.95, 0.9999])
def test_resamples_without_a_reference_score_open_the_interval(level):
    reference = np.zeros((20, 1))
    reference[0] = 1.0  # 36 % of resamples miss the only image that scores
    found = stats.bootstrap_ratio(reference * 0.9, reference, mean_score, level=level, draws=1_000)
    assert found.centre == pytest.approx(0.9)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_one_image_tells_nothing():
    found = stats.bootstrap_ratio([[0.9]], [[1.0]], mean_score, level=0.95, draws=100)
    assert (found.low, found.centre, found.high) == (-math.inf, 0.9, math.inf)


@pytest.mark.parametrize("variant, reference", [([[1.0]], [[1.0], [2.0]]), ([1.0], [1.0]), ([[math.nan]], [[1.0]])])
def test_statistics_must_be_paired_and_finite(variant, reference):
    with pytest.raises(ValueError, match="statistics"):
        stats.bootstrap_ratio(variant, reference, mean_score, level=0.95)
    with pytest.raises(ValueError, match="statistics"):
        stats.permutation_p(variant, reference, mean_score)


@pytest.mark.parametrize("images", [8, 40])
def test_bootstrap_coverage_is_near_nominal_even_on_few_images(images):
    hits = []
    for seed in range(600):
        variant, reference = arms(images, seed)
        found = stats.bootstrap_ratio(variant, reference, mean_score, level=0.9, draws=500, seed=seed)
        hits.append(covers(found, 0.9 * math.exp(0.02)))
    assert abs(np.mean(hits) - 0.9) < 0.035  # three standard errors of 600 runs


def test_permutation_p_equals_all_swaps_by_hand():
    variant, reference = (
        np.array([[3.0], [5.0], [4.0], [6.5], [5.0], [2.0]]),
        np.array([[1.0], [4.0], [4.5], [4.0], [2.0], [1.5]]),
    )
    gaps = (variant - reference)[:, 0]
    every = [abs(np.dot(signs, gaps)) >= abs(gaps.sum()) - 1e-9 for signs in itertools.product((1, -1), repeat=6)]
    found = stats.permutation_p(variant, reference, mean_score, draws=20_000)
    assert found == pytest.approx(np.mean(every), abs=0.006)


def test_permutation_p_counts_ties_that_differ_in_the_last_bit():
    rng = np.random.default_rng(0)
    for _ in range(20):  # three images: 2 of 8 swaps are as extreme as what was seen, whatever the order of the sums
        reference = rng.random((3, 1))
        found = stats.permutation_p(reference + 0.1 + rng.random((3, 1)), reference, mean_score, draws=2_000)
        assert found == pytest.approx(0.25, abs=0.05)


def test_permutation_p_is_never_zero_and_one_for_equal_arms():
    variant, reference = arms(100, retention=0.3)
    assert stats.permutation_p(variant, reference, mean_score, draws=999) == 1 / 1_000
    assert stats.permutation_p(reference, reference, mean_score, draws=999) == 1.0
    assert stats.permutation_p(*arms(5), lambda rows, counts: np.full(len(counts), np.nan), draws=99) == 1.0


def test_permutation_p_is_uniform_when_nothing_changed():
    rng = np.random.default_rng(2)
    found = [stats.permutation_p(*rng.normal(5, 1, (2, 20, 1)), mean_score, draws=199, seed=s) for s in range(600)]
    for alpha in (0.05, 0.25, 0.5):
        assert np.mean(np.array(found) <= alpha) == pytest.approx(alpha, abs=0.06)


def test_permutation_p_works_on_a_corpus_score():
    def precision(rows, counts):
        matches, total = (counts @ rows).T
        return matches / total

    rng = np.random.default_rng(4)
    total = rng.integers(5, 15, 80)
    better, worse = (np.column_stack([rng.binomial(total, p), total]) for p in (0.8, 0.6))
    assert stats.permutation_p(worse, better, precision, draws=2_000) < 0.01
    assert stats.bootstrap_ratio(worse, better, precision, level=0.99, draws=2_000).high < 1


# ── power ──


def test_blocks_needed_is_the_first_half_width_below_the_distance():
    for sd, df, distance, level in itertools.product((0.01, 0.045), (0, 20), (0.02, 0.05), (0.95, 0.9993)):
        n = stats.blocks_needed(sd, df, distance, level)
        assert n is not None

        def half(k, df=df, sd=sd, level=level):
            freedom = df + k - 1
            return scipy_stats.t.ppf((1 + level) / 2, freedom) * sd / math.sqrt(k) if freedom else math.inf

        assert half(n) < distance <= (half(n - 1) if n > 1 else math.inf)


def test_blocks_needed_gives_up():
    assert stats.blocks_needed(0.045, 20, 0.0001, 0.95) is None
    assert stats.blocks_needed(0.045, 20, 0.0, 0.95) is None
    assert stats.blocks_needed(0.045, 0, 0.01, 0.95, most=20) is None
    assert stats.blocks_needed(0.045, 0, 0.01, 0.95) == 81


def test_power_and_blocks_needed_agree_with_simulation():
    rng, sd, distance, level = np.random.default_rng(9), 0.045, 0.06, 0.98
    for df, extra in itertools.product((0, 20), (0, 3)):
        needed = stats.blocks_needed(sd, df, distance, level)
        assert needed is not None
        n, decided = needed + extra, 0
        for _ in range(4_000):
            prior = Prior(*stats.moderated_sd(rng.normal(0, sd, df + 1))) if df else None
            decided += stats.t_interval(rng.normal(distance, sd, n), level, prior).low > 0
        predicted = stats.power(sd, df + n - 1, n, distance, level)
        assert decided / 4_000 == pytest.approx(predicted, abs=0.025)
        assert 0.4 < predicted < 0.9


def test_power_at_the_ends():
    assert stats.power(0.02, 0, 1, 0.1, 0.95) == 0.0
    assert stats.power(0.0, 5, 6, 0.1, 0.95) == 1.0
    assert stats.power(0.02, 5, 6, 0.0, 0.95) == pytest.approx(0.025)


def test_detectable_drop_is_the_drop_that_brings_the_upper_end_to_one():
    estimate = Estimate(0.98, 0.95, 1.01, 100, 0.95, "")
    drop = stats.detectable_drop(estimate)
    assert (1 - drop) * estimate.high / estimate.centre == pytest.approx(1.0)
    assert drop == pytest.approx(0.0297, abs=1e-4)
    assert stats.detectable_drop(Estimate(1.0, 1.0, 1.0, 5, 0.95, "")) == 0.0
    assert stats.detectable_drop(Estimate(math.nan, -math.inf, math.inf, 5, 0.95, "")) == 1.0
    assert stats.detectable_drop(Estimate(0.0, 0.0, 0.0, 5, 0.95, "")) == 1.0
