"""Bootstrap and permutation over images against the delta method, counting by hand and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vlmgate import stats
from vlmgate.spec import Estimate
from vlmgate.stats import images

Z = scipy_stats.norm.ppf


def mean_score(rows, counts):
    return counts @ rows[:, 0] / counts.sum(axis=1)


def covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


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
    monkeypatch.setattr(images, "_CELLS", 40 * 7)
    parts = stats.bootstrap_ratio(*arms(40), mean_score, level=0.9, draws=1_000)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), rel=1e-12)


def test_resamples_are_multinomial():
    counts = np.concatenate(list(images._resamples(10, 20_000, 3)))
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
