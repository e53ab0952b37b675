"""Which blocks count, when they are looked at, and what makes them contaminated."""

import math
from dataclasses import replace

import pytest
from judging import CASE, FP32, baseline_of, block, blocks, judge, line, record, run_of, wobble

from vlmgate.judge import contaminated_groups, judge_run, undecided
from vlmgate.judge.evidence import (
    MIN_PRIOR_DF,
    PLACEBO,
    TIME,
    Evidence,
    against_another,
    judged,
    placebo,
    prior_of,
    unmeasured,
)
from vlmgate.judge.paired import moved_or_broken
from vlmgate.metrics import METRICS
from vlmgate.spec import Outcome, Settings

FLOOR = line(TIME, "reference", 1.3)
INT8, REFERENCE = record("int8"), record("fp32")


def again(*timed, role="retry"):
    return tuple(replace(each, role=role) for each in timed)


def promoted(case, n=24, **changes):
    return baseline_of(case, [math.log(1.5) + w for w in wobble(n, turn=4)], **changes)


def test_blocks_measured_again_take_the_place_of_the_first():
    first, second, third = block(0, int8=0.1, fp32=0.1), *again(block(1, int8=0.1)), *again(block(2, int8=0.1), role="confirm")
    assert judged([first, third], "m/d", "int8") == [first]
    assert judged([first, second, third], "m/d", "int8") == [second]
    assert judged([first, second, third], "m/d", "int8", "confirm") == [third]
    assert judged([first, second], "m/d", "fp32") == [first], "an arm that was not measured again keeps its blocks"
    both = Evidence(run_of(REFERENCE, INT8, timed=[first, second, third]), INT8, REFERENCE, None, roles=("look", "confirm"))
    assert both.blocks == [second, third]
    (fourth,) = again(block(3, int8=0.1), role="reconfirm")
    assert judged([third, fourth], "m/d", "int8", "confirm") == [fourth] and judged([fourth], "m/d", "int8") == []
    assert judged([first, first, second], "m/d", "int8") == [first, first], "a second try that was cut short replaces nothing"
    assert judged([first], "other/d", "int8") == []


def test_a_contaminated_group_is_named_and_its_lines_are_unresolved():
    dirty = blocks(1.5, placebo=1.1)
    run, found = run_of(REFERENCE, INT8, timed=dirty), judge(FLOOR, timed=dirty)
    assert contaminated_groups(run, {}) == {"m/d"}
    assert (found.outcome, found.contaminated, found.confirm) == (Outcome.UNRESOLVED, True, "")
    assert not undecided([found], {CASE}), "more of the same blocks are no cure"


def test_clean_blocks_measured_again_are_judged_alone():
    both = [*blocks(1.5, placebo=1.1), *again(*blocks(1.4))]
    assert contaminated_groups(run_of(REFERENCE, INT8, timed=both), {}) == set()
    assert judge(FLOOR, timed=both) == judge(FLOOR, timed=again(*blocks(1.4)))


def test_a_group_that_is_contaminated_twice_stays_so():
    both = [*blocks(1.5), *again(*blocks(1.5, placebo=1.1))]
    assert contaminated_groups(run_of(REFERENCE, INT8, timed=both), {}) == {"m/d"}
    assert judge(FLOOR, timed=both).contaminated


def test_a_placebo_too_noisy_to_tell_is_no_contamination_unless_its_promoted_spread_says_so():
    """Its mean lies 4 % off; six blocks that spread by 5 % cannot tell, a promoted spread of 0.2 % can."""
    run = run_of(REFERENCE, INT8, timed=blocks(1.5, placebo=1.04, placebo_sd=0.05))
    assert contaminated_groups(run, {}) == set()
    calm = promoted(REFERENCE)
    calm = replace(calm, blocks=dict(calm.blocks) | {"placebo": tuple(wobble(400, 0.002, 5))})
    assert contaminated_groups(run, {FP32: calm}) == {"m/d"}


def test_broken_times_are_no_contamination():
    assert contaminated_groups(run_of(REFERENCE, INT8, timed=[*blocks(), block(6, fp32=math.nan, placebo=0.1)]), {}) == set()


@pytest.mark.parametrize("n", [MIN_PRIOR_DF, MIN_PRIOR_DF + 1])
def test_a_spread_needs_twenty_degrees_of_freedom(n):
    found = prior_of(INT8, run_of(REFERENCE, INT8), promoted(INT8, n))
    assert (found is None) if n == MIN_PRIOR_DF else (found.df == n - 1)


def test_a_spread_of_other_settings_is_not_known():
    run = run_of(REFERENCE, INT8)
    assert prior_of(INT8, run, promoted(INT8)) is not None
    assert prior_of(INT8, run, promoted(INT8, settings=Settings(batch=4))) is None


def test_an_early_look_spends_as_little_as_three_blocks_may():
    known = {"baseline": promoted(INT8)}
    assert judge(FLOOR, timed=blocks(n=3), **known).spent == judge(FLOOR, timed=blocks(n=6), **known).spent


def test_of_one_block_the_placebo_counts_where_its_spread_is_known():
    """A known spread of the case lets one block pass, so that of the placebo must let it be doubted."""
    calm = baseline_of(REFERENCE, blocks={PLACEBO: tuple(wobble(24, 0.002))})
    for shift, outcome in ((1.0, Outcome.PASS), (1.2, Outcome.UNRESOLVED)):
        run = run_of(REFERENCE, INT8, timed=blocks(1.5, n=1, placebo=shift))
        (found,) = judge_run(run, {CASE: [FLOOR]}, METRICS, {CASE: promoted(INT8), FP32: calm})
        assert (found.outcome, found.contaminated) == (outcome, shift > 1)
    assert placebo(blocks(1.5, n=1, placebo=1.2), "fp32") is None


def test_speeds_against_two_references_are_not_compared_and_lend_no_spread():
    """A variant that is a little faster than onnx may be much faster than fp32, however slow it has become."""
    slower, now = baseline_of(INT8, [math.log(1.1) + w for w in wobble(24, turn=4)]), run_of(REFERENCE, INT8, timed=blocks(1.5))
    for then, other in (("m/onnx/d", "m/onnx/d"), ("", "none")):
        old = replace(slower, reference=then)
        (found,) = judge_run(now, {CASE: [line(TIME, "baseline", 0.03)]}, METRICS, {CASE: old})
        assert found.outcome is Outcome.SKIP
        assert f"the baseline was measured with another reference ({other} then, {FP32} now); promote" in found.sentence
        assert prior_of(INT8, now, old) is None
    for then in (None, FP32):
        assert against_another(INT8, replace(slower, reference=then)) == ""
        (found,) = judge_run(now, {CASE: [line(TIME, "baseline", 0.03)]}, METRICS, {CASE: replace(slower, reference=then)})
        assert found.outcome is Outcome.PASS
    sizes = judge(line("size", "baseline", 0.1), baseline=replace(slower, reference="m/onnx/d"))
    assert sizes.outcome is Outcome.PASS, "a size is against no reference"


def test_no_drift_is_judged_across_a_change_of_reference():
    levels = {TIME: {"mean": math.log(1.5), "sd": 0.01, "n": 24}}
    old = promoted(INT8, history=tuple({"run": str(i), "levels": levels} for i in range(3)))
    for then, drifts in ((FP32, 1), ("m/onnx/d", 0)):
        run = run_of(REFERENCE, INT8, timed=blocks(1.5))
        found = judge_run(run, {CASE: [line(TIME, "baseline", 0.03)]}, METRICS, {CASE: replace(old, reference=then)})
        assert [v.metric for v in found].count("drift") == drifts


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "size was not measured"),
        ({"size": math.nan}, "size is nan, expected a finite number; measure it again"),
        ({"size": math.inf}, "size is inf, expected a finite number; measure it again"),
    ],
)
def test_a_number_that_is_none_is_said_to_be_so(values, words):
    assert unmeasured(values, "size") == words
    assert words in judge(line("size", "limit", 3e7), record("int8", exact=values)).sentence
    if values:
        bad = record("int8", scores={"cider": values["size"]})
        assert words.replace("size", "cider") in judge(line("cider", "limit", 0.1), bad).sentence


def test_broken_times_move_no_placebo():
    broken = [*blocks(1.5), block(6, fp32=0.1, int8=0.1, placebo=math.nan)]
    assert not moved_or_broken(Evidence(run_of(REFERENCE, INT8, timed=broken), INT8, REFERENCE, None))
    dirty = run_of(REFERENCE, INT8, timed=blocks(1.5, placebo=1.1))
    assert moved_or_broken(Evidence(dirty, INT8, REFERENCE, None))
