"""How the numbers behind a verdict come about: block values, the placebo, bytes, captions; and are the intervals honest?"""

import math
from dataclasses import replace

import numpy as np
import pytest
from judging import FP32, IMAGES, baseline_of, block, blocks, judge, line, record, run_of, statistics, wobble
from scipy import stats

from vlmgate.judge import FAMILY_ERROR, PASS_ERROR, quality
from vlmgate.judge.estimates import MEMORY_RESOLUTION, estimate
from vlmgate.judge.evidence import PLACEBO_MARGIN, Evidence, contaminated, group_of, placebo, speed_values
from vlmgate.judge.levels import Levels
from vlmgate.metrics import METRICS
from vlmgate.spec import Block, Estimate, Outcome
from vlmgate.stats import bootstrap_ratio

SPEED, PEAK, BLEU = "time_per_caption", "peak_memory", "bleu_4"
INT8 = record("int8")


def centre(*arguments, **keywords):
    found = judge(*arguments, **keywords).estimate
    assert found is not None
    return found.centre


def test_speed_values_are_log_speed_ups():
    timed = [block(0, fp32=0.3, int8=0.1), block(1, fp32=0.1, int8=0.2), block(2, int8=0.1)]
    assert speed_values(timed, "int8", "fp32") == pytest.approx((math.log(3), -math.log(2)))


def test_the_reference_is_timed_against_the_yardstick_and_faster_is_higher():
    slow, fast = (speed_values([block(0, fp32=s)], "fp32", None)[0] for s in (0.2, 0.1))
    assert slow == pytest.approx(math.log(0.02 / 0.2))
    assert fast - slow == pytest.approx(math.log(2))
    assert speed_values([replace(block(0, fp32=0.1), yardstick=())], "fp32", None) == ()


def test_images_and_rounds_are_paired_and_one_slow_round_is_not_seen():
    times = {"fp32": ((1.0, 1.0, 9.0), (4.0, 4.0, 4.0)), "int8": ((0.5, 0.5, 0.5), (4.0, 80.0, 4.0))}
    one = Block("m/d", 0, 0, (0, 1), times, {}, {}, (), 1.0)
    assert speed_values([one], "int8", "fp32") == pytest.approx((math.log(2) / 2,))


@pytest.mark.parametrize("faster", [1.25, 0.8])
def test_the_estimates_of_speed_point_the_right_way(faster):
    timed = blocks(faster)
    promoted = baseline_of(INT8, [0.0 + w for w in wobble(24)])
    assert centre(line(SPEED, "reference", 1.0), timed=timed) == pytest.approx(faster)
    assert centre(line(SPEED, "baseline", 0.1), timed=timed, baseline=promoted) == pytest.approx(faster)
    assert centre(line(SPEED, "limit", 1.0), timed=timed) == pytest.approx(0.1 / faster)


@pytest.mark.parametrize("factor", [1.25, 0.8])
def test_the_other_estimates_since_the_baseline_are_now_over_then(factor):
    now = record("int8", exact={"size": 25e6 * factor, "sparsity": 0.4 * factor}, memory={PEAK: (2e8 * factor,)})
    then = baseline_of(record("int8", exact={"size": 25e6, "sparsity": 0.4}))
    for metric in ("size", "sparsity", PEAK):
        assert centre(line(metric, "baseline", 0.1), now, baseline=then) == pytest.approx(factor)


def test_evidence_counts_the_blocks_of_the_case():
    timed = [*blocks(n=12), *[replace(b, model="m/other") for b in blocks(n=12)]]
    evidence = Evidence(run_of(INT8, timed=timed), INT8, None, None)
    assert (len(evidence.blocks), group_of(INT8)) == (12, "m/d")


@pytest.mark.parametrize(("n", "look"), [(0, 0), (1, 0), (5, 0), (6, 0), (11, 0), (12, 1), (23, 1), (24, 2), (100, 2)])
def test_the_look_is_the_last_one_reached(n, look):
    timed = blocks(n=n) if n else ()
    assert Evidence(run_of(INT8, timed=timed), INT8, None, None).look == look


# the placebo


def test_the_placebo_is_the_second_copy_over_the_first():
    found = placebo(blocks(placebo=1.1, n=12), "fp32")
    assert found is not None
    assert found.centre == pytest.approx(1.1)
    assert found.low <= 1.1 <= found.high


def test_no_placebo_and_one_block_say_nothing():
    assert placebo([block(i, fp32=0.1, int8=0.1) for i in range(6)], "fp32") is None
    assert placebo(blocks(n=1), "fp32") is None
    assert not contaminated(None)


@pytest.mark.parametrize(
    ("middle", "half", "dirty"),
    [
        (0.0, 0.001, False),
        (PLACEBO_MARGIN + 1e-6, 0.001, True),  # moved, and surely so
        (-PLACEBO_MARGIN - 1e-6, 0.001, True),
        (PLACEBO_MARGIN - 1e-6, 0.001, False),  # surely moved, but within the margin
        (PLACEBO_MARGIN + 1e-6, 0.1, False),  # too wide to tell: more blocks, not contamination
    ],
)
def test_contaminated_is_off_the_margin_and_surely_so(middle, half, dirty):
    low, mid, high = (math.exp(x) for x in (middle - half, middle, middle + half))
    assert contaminated(Estimate(mid, low, high, 6, 0.95, "")) is dirty


def test_a_contaminated_verdict_keeps_its_evidence():
    found = judge(line(SPEED, "reference", 1.7), timed=blocks(placebo=0.9))
    assert (found.outcome, found.estimate is not None) == (Outcome.UNRESOLVED, True)
    assert "contaminated" in found.sentence


# memory


def test_one_process_is_known_to_its_resolution():
    found = judge(line(PEAK, "limit", 1e9)).estimate
    assert found is not None
    assert (found.low, found.high) == pytest.approx((2e8 * math.exp(-MEMORY_RESOLUTION), 2e8 * math.exp(MEMORY_RESOLUTION)))


def test_processes_that_agree_to_the_byte_say_no_more_than_one():
    one, three = (judge(line(PEAK, "limit", 1e9), record("int8", memory={PEAK: (2e8,) * n})).estimate for n in (1, 3))
    assert one is not None and three is not None
    assert (one.low, one.high, three.n) == (three.low, three.high, 3)


def test_several_processes_give_a_t_interval():
    peaks = (2e8, 2.2e8, 2.1e8, 1.9e8)
    found = judge(line(PEAK, "limit", 1e9), record("int8", memory={PEAK: peaks})).estimate
    logs = np.log(peaks)
    error = logs.std(ddof=1) / 2
    assert found is not None
    assert math.log(found.centre / found.low) == pytest.approx(stats.t.isf(FAMILY_ERROR, 3) * error)
    assert math.log(found.high / found.centre) == pytest.approx(stats.t.isf(PASS_ERROR, 3) * error)


def test_processes_that_nearly_agree_say_no_more_than_one():
    """A byte apart, t on few df would give an interval of a few bytes."""
    found = judge(line(PEAK, "limit", 1e9), record("int8", memory={PEAK: (2e8, 2e8 + 1, 2e8 - 1)})).estimate
    assert found is not None and "3 processes, ±2%" in found.signature
    assert (found.low, found.high) == pytest.approx((2e8 * math.exp(-MEMORY_RESOLUTION), 2e8 * math.exp(MEMORY_RESOLUTION)))


def test_both_sides_of_a_memory_ratio_add_their_error():
    found = judge(line(PEAK, "reference", 0.1)).estimate
    half = math.sqrt(2) * MEMORY_RESOLUTION
    assert found is not None
    assert (found.low, found.centre, found.high) == pytest.approx((1 - 0.5 * math.exp(half), 0.5, 1 - 0.5 * math.exp(-half)))


def test_memory_of_a_gpu_is_compared_between_models_on_a_gpu():
    peaks, on_gpu = {"cuda_peak": (54e6,)}, {"device": "cuda"}
    case, then = record("int8", memory=peaks, recipe=on_gpu), {"cuda_peak": (73e6,)}
    found = judge(line("cuda_peak", "reference", 0.2), case, record("fp32", memory=then, recipe=on_gpu))
    assert found.outcome is Outcome.PASS and found.estimate is not None and found.estimate.centre == pytest.approx(1 - 54 / 73)
    found = judge(line("cuda_peak", "reference", 0.3), case, record("fp32", memory=then, recipe=on_gpu))
    assert found.outcome is Outcome.FAIL and "peak of GPU memory reduction" in found.sentence


@pytest.mark.parametrize("name", ["cuda_peak", "peak_memory", "energy_per_caption"])
def test_memory_and_energy_of_two_devices_are_not_compared(name):
    """As fp16-cuda beside fp32 on the CPU: joules of the CPU alone, or the host's memory of a process with CUDA, say nothing."""
    case = record("int8", memory={"cuda_peak": (54e6,), "peak_memory": (1e9,)}, recipe={"device": "cuda"})
    found = judge(line(name, "reference", 0.2), case, record("fp32", recipe={"device": "cpu"}))
    assert found.outcome is Outcome.SKIP and "fp32, the reference, runs on another device" in found.sentence
    assert judge(line("size", "reference", 0.2), case, record("fp32", recipe={"device": "cpu"})).outcome is Outcome.PASS


def test_memory_intervals_keep_their_error():
    """Equal peaks in 4 processes each, a floor at the truth: at most PASS_ERROR false passes, hardly any false fail."""
    rng, outcomes = np.random.default_rng(3), []
    for _ in range(400):
        now, then = (tuple(float(x) for x in 1e8 * np.exp(rng.normal(0, 0.02, 4))) for _ in range(2))
        found = judge(line(PEAK, "reference", 0.0), record("int8", memory={PEAK: now}), record("fp32", memory={PEAK: then}))
        outcomes.append(found.outcome)
    assert outcomes.count(Outcome.PASS) <= 400 * PASS_ERROR + 10
    assert outcomes.count(Outcome.FAIL) <= 10


def test_speed_intervals_keep_their_error():
    """A floor at the truth, one look of 6 blocks."""
    rng, outcomes = np.random.default_rng(4), []
    for _ in range(400):
        timed = [block(i, fp32=0.1, int8=0.1 / 1.5 * math.exp(rng.normal(0, 0.03))) for i in range(6)]
        outcomes.append(judge(line(SPEED, "reference", 1.5), timed=timed).outcome)
    assert outcomes.count(Outcome.PASS) <= 400 * PASS_ERROR
    assert outcomes.count(Outcome.FAIL) <= 8


# what has no spread decides nothing


def test_equal_blocks_are_suspect_in_every_kind_of_speed_line_without_a_promoted_spread():
    timed = [block(i, fp32=0.1, int8=0.05, placebo=0.1) for i in range(6)]
    for against, number in (("reference", 1.1), ("reference", 9.0), ("limit", 1.0), ("limit", 0.01)):
        found = judge(line(SPEED, against, number), timed=timed)
        assert found.outcome is Outcome.UNRESOLVED
        assert "all 6 blocks gave the same time, which no clock does" in found.sentence


def test_equal_blocks_may_be_compared_with_a_baseline_which_has_a_spread():
    timed = [block(i, fp32=0.1, int8=0.05, placebo=0.1) for i in range(6)]
    promoted = baseline_of(INT8, [math.log(2) + w for w in wobble(24)])
    assert judge(line(SPEED, "baseline", 0.15), timed=timed, baseline=promoted).outcome is Outcome.PASS


@pytest.mark.parametrize(("values", "borrowed"), [(20, False), (21, True), (24, True)])
def test_a_promoted_spread_is_borrowed_from_enough_blocks(values, borrowed):
    promoted = baseline_of(INT8, wobble(values, 0.02))
    found = judge(line(SPEED, "reference", 1.3), timed=blocks(), baseline=promoted).estimate
    assert found is not None
    assert ("prior" in found.signature) is borrowed


# quality


def retention(level: float, hits: int = 30) -> Estimate:
    run = run_of(record("fp32"), record("int8", quality=statistics(hits)))
    evidence = Evidence(run, run.cases[1], run.cases[0], None)
    found, _ = estimate(evidence, line(BLEU, "reference", 0.9), METRICS[BLEU], Levels(level, 0.05))
    assert found is not None
    return found


def test_retention_is_the_ratio_of_corpus_scores_with_an_interval_over_images():
    found, damaged = retention(0.01), record("int8", quality=statistics(30))
    assert found.centre == pytest.approx(damaged.scores[BLEU] / record("fp32").scores[BLEU])
    assert found.low < found.centre < found.high
    assert (found.n, "paired bootstrap" in found.signature, "tokenizer t" in found.signature) == (IMAGES, True, True)


def test_a_smaller_error_moves_the_failing_end_of_a_retention_only():
    loose, strict = retention(0.05), retention(0.001)
    assert (loose.low, loose.centre) == (strict.low, strict.centre)
    assert strict.high > loose.high


def test_images_are_paired_by_their_name_not_by_their_place():
    rows = statistics(30)
    shuffled = dict(sorted(rows.items(), key=lambda item: item[1]))
    one, two = (judge(line(BLEU, "reference", 0.9), record("int8", quality=q)).estimate for q in (rows, shuffled))
    assert one == two


def test_captions_are_not_resampled_again_at_every_look(monkeypatch):
    levels = []

    def counting(*arguments, level, **keywords):
        levels.append(level)
        return bootstrap_ratio(*arguments, level=level, **keywords)

    monkeypatch.setattr(quality, "bootstrap_ratio", counting)
    for _ in range(3):
        judge(line("cider", "reference", 0.9), record("int8", quality=statistics(31, cider=4.5)))
    assert levels == pytest.approx([1 - 2 * FAMILY_ERROR, 1 - 2 * PASS_ERROR])


def test_a_baseline_is_exact_for_captions():
    then = baseline_of(record("int8", quality=statistics(37)))
    found = judge(line(BLEU, "baseline", 0.1), baseline=then).estimate
    assert found is not None
    assert found.low == found.centre == found.high == INT8.scores[BLEU] / then.scores[BLEU]


# metrics of plugins


@pytest.mark.parametrize(("quantity", "share"), [("retention", 0.25), ("reduction", 0.75)])
def test_the_quantity_says_what_is_compared_with_the_reference(quantity, share):
    metrics = {**METRICS, "size": replace(METRICS["size"], quantity=quantity)}
    assert centre(line("size", "reference", 0.1), metrics=metrics) == share


def test_a_score_that_nobody_made_is_unresolved():
    metrics = {**METRICS, "mine": replace(METRICS[BLEU], name="mine")}
    assert judge(line("mine", "reference", 0.1), metrics=metrics).outcome is Outcome.UNRESOLVED


def test_the_yardstick_line_of_a_reference_needs_no_reference():
    reference = record("fp32")
    promoted = baseline_of(reference, [math.log(0.2) + w for w in wobble(24)])
    found = judge(line(SPEED, "baseline", 0.12, case=FP32), timed=blocks(), baseline=promoted)
    assert found.outcome is Outcome.PASS
