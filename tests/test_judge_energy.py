"""Energy from blocks: a saving against the reference of the same blocks, a limit in joules, a tolerance since the baseline."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from judging import FP32, baseline_of, confirming, record, run_of
from judging import blocks as timed_blocks
from scipy import stats

from vlmgate.judge import FAMILY_ERROR, LOOKS, PASS_ERROR, judge_run, to_confirm
from vlmgate.judge.confirm import CONFIRMED, NEEDED, REFUTED
from vlmgate.judge.energy import ENERGY, energy_values
from vlmgate.judge.speed import ASSUMED_SD, BETWEEN_RUN_SD, PROMOTED_SD
from vlmgate.metrics import METRICS
from vlmgate.spec import Against, Baseline, Block, Outcome, Question, Threshold, Verdict
from vlmgate.stats import Prior, coverage, difference, look_levels, t_interval

CASE = "m/int8/d"
WOBBLE = (-0.02, 0.02, -0.01, 0.01, -0.03, 0.03)  # of the logarithm, one a block


def blocks(saving: float, wobble: Sequence[float] = WOBBLE) -> tuple[Block, ...]:
    """Blocks whose levels move by a tenth from one to the next, which pairing must take out; ``wobble`` remains."""
    times = dict.fromkeys(("fp32", "int8", "placebo"), ((0.1, 0.1), (0.1, 0.1)))
    levels = [20.0 * 1.1**i for i in range(len(wobble))]
    joules = [{"fp32": level, "int8": level * (1 - saving) * math.exp(w)} for level, w in zip(levels, wobble, strict=True)]
    return tuple(Block("m/d", i, i, (0, 1), times, {}, {}, (0.02,), 1.0, energy=arms) for i, arms in enumerate(joules))


def verdict(timed: Sequence[Block], line: Threshold, baseline: Baseline | None = None, **changes: object) -> Verdict:
    """The verdict; where ``timed`` holds no blocks that confirm a fail, its own stand in for them."""
    if not any(block.role == "confirm" for block in timed):
        timed = [*timed, *confirming(timed)]
    run = run_of(record("fp32"), record("int8", **changes), timed=timed)
    found = judge_run(run, {CASE: [line]}, METRICS, {CASE: baseline} if baseline else {})
    return next(v for v in found if v.case == CASE and v.metric == ENERGY)


def threshold(against: Against, line: float) -> Threshold:
    return Threshold("*", ENERGY, against, line, "why")


@pytest.mark.parametrize(("saving", "outcome"), [(0.4, Outcome.PASS), (0.1, Outcome.FAIL), (0.25, Outcome.UNRESOLVED)])
def test_a_saving_is_judged_over_blocks_paired_with_the_reference(saving: float, outcome: Outcome) -> None:
    found = verdict(blocks(saving), threshold(Against.REFERENCE, 0.25))
    assert found.outcome is outcome and found.question is Question.ENERGY
    assert found.estimate is not None and found.estimate.n == 6
    assert found.estimate.centre == pytest.approx(saving) and found.estimate.high - found.estimate.low < 0.2
    assert "energy per caption (above idle) reduction" in found.sentence and "6 blocks" in found.sentence


def test_a_limit_is_in_joules() -> None:
    timed = blocks(0.5)
    assert verdict(timed, threshold(Against.LIMIT, 1000.0)).outcome is Outcome.PASS
    miss = verdict(timed, threshold(Against.LIMIT, 1.0))
    assert miss.outcome is Outcome.FAIL and " J" in miss.sentence


def test_a_baseline_is_compared_in_joules_of_then_and_now() -> None:
    now = [replace(block, energy={"int8": 10.0 * math.exp(w)}) for block, w in zip(blocks(0.5), WOBBLE, strict=True)]
    line = threshold(Against.BASELINE, 0.3)
    then = [math.log(10.0) + w for w in WOBBLE]
    for shift, outcome in ((0.0, Outcome.PASS), (-0.7, Outcome.FAIL)):  # half as much then
        made = baseline_of(record("int8"), blocks={ENERGY: tuple(value + shift for value in then)})
        assert verdict(now, line, made).outcome is outcome
    assert verdict(now, line, baseline_of(record("int8"))).outcome is Outcome.SKIP


def ends(found: Verdict) -> tuple[float, float]:
    """Distances of the bad and the good end from the centre, in logarithms of joules (of which less is better)."""
    assert found.estimate is not None
    return (
        math.log(found.estimate.high / found.estimate.centre),
        math.log(found.estimate.centre / found.estimate.low),
    )


STEADY = tuple(w / 1000 for w in WOBBLE)  # a spread of 0.002 %, as six blocks may show by luck


def test_steady_blocks_are_held_to_an_assumed_spread_until_one_is_promoted() -> None:
    levels = look_levels(PASS_ERROR, LOOKS)[0], look_levels(FAMILY_ERROR, LOOKS)[0]
    half = [stats.norm.isf(level) * ASSUMED_SD / math.sqrt(6) for level in levels]
    ratio = verdict(blocks(0.5, STEADY), threshold(Against.REFERENCE, 0.2)).estimate
    assert ratio is not None
    assert math.log((1 - ratio.low) / (1 - ratio.centre)) == pytest.approx(half[0])
    now = [replace(block, energy={"int8": 10.0 * math.exp(w)}) for block, w in zip(blocks(0.5), STEADY, strict=True)]
    assert ends(verdict(now, threshold(Against.LIMIT, 20.0))) == pytest.approx(half)
    few = [math.log(10.0) + w for w in STEADY]
    errors = math.sqrt(ASSUMED_SD**2 * (1 / 6 + 1 / 6) + 2 * BETWEEN_RUN_SD**2)
    since = ends(verdict(now, threshold(Against.BASELINE, 0.3), promoted(few)))
    assert since == pytest.approx([stats.norm.isf(level) * errors for level in levels])
    known = ends(verdict(now, threshold(Against.LIMIT, 20.0), promoted(few * 4)))
    assert known == pytest.approx([stats.norm.isf(level) * PROMOTED_SD / math.sqrt(6) for level in levels])


def test_a_promoted_spread_of_joules_bears_on_joules_and_on_no_ratio() -> None:
    level = look_levels(PASS_ERROR, LOOKS)[0]
    then = [math.log(10.0) + w for w in WOBBLE * 4]
    prior, now = Prior(float(np.std(then, ddof=1)), 23), [math.log(10.0) + w for w in STEADY]
    timed = [replace(block, energy={"int8": math.exp(w)}) for block, w in zip(blocks(0.5), now, strict=True)]
    half = {
        Against.LIMIT: t_interval(now, coverage(level), prior),
        Against.BASELINE: difference(now, then, BETWEEN_RUN_SD, coverage(level), prior),
    }
    for against, found in half.items():
        assert ends(verdict(timed, threshold(against, 20.0), promoted(then)))[0] == pytest.approx(found.high - found.centre)
    line = threshold(Against.REFERENCE, 0.2)
    assert verdict(blocks(0.5), line, promoted(then)).estimate == verdict(blocks(0.5), line).estimate


def promoted(values: Sequence[float]) -> Baseline:
    return baseline_of(record("int8"), blocks={ENERGY: tuple(values)})


@pytest.mark.parametrize("floor", [0.1, 0.9])
def test_equal_blocks_decide_nothing(floor: float) -> None:
    found = verdict(blocks(0.5, (0.0,) * 6), threshold(Against.REFERENCE, floor))
    assert found.outcome is Outcome.UNRESOLVED and "all 6 blocks gave the same energy, which no meter does" in found.sentence


@pytest.mark.parametrize(("against", "number"), [(Against.REFERENCE, 0.1), (Against.LIMIT, 1e3), (Against.BASELINE, 0.3)])
def test_a_placebo_that_moved_decides_nothing(against: Against, number: float) -> None:
    then = promoted(energy_values(timed_blocks(1.5), "int8"))
    quiet, moved = (verdict(timed_blocks(1.5, placebo=p), threshold(against, number), then) for p in (1.0, 1.1))
    assert (quiet.outcome, quiet.contaminated) == (Outcome.PASS, False)
    assert (moved.outcome, moved.contaminated) == (Outcome.UNRESOLVED, True) and "contaminated" in moved.sentence


def test_a_fail_is_confirmed_by_new_blocks() -> None:
    line, alone = threshold(Against.REFERENCE, 0.25), blocks(0.1)
    run = run_of(record("fp32"), record("int8"), timed=alone)
    (open_,) = (v for v in judge_run(run, {CASE: [line]}, METRICS, {}) if v.metric == ENERGY)
    assert (open_.outcome, open_.confirm) == (Outcome.UNRESOLVED, NEEDED) and to_confirm([open_]) == {CASE}
    for saving, outcome, state in ((0.1, Outcome.FAIL, CONFIRMED), (0.4, Outcome.UNRESOLVED, REFUTED)):
        found = verdict([*alone, *confirming(blocks(saving))], line)
        assert (found.outcome, found.confirm) == (outcome, state)
        assert found.confirmation is not None and found.confirmation.centre == pytest.approx(saving)
        assert f"6 new blocks gave {saving:.1%}" in found.sentence


def test_without_a_meter_the_reason_is_the_verdict_and_no_other_line_pays_for_it() -> None:
    skips = {"energy": "this machine shows no energy counter"}
    found = verdict(blocks(0.5), threshold(Against.REFERENCE, 0.25), skips=skips)
    assert found.outcome is Outcome.SKIP and "no energy counter" in found.sentence
    lines = {CASE: [threshold(Against.REFERENCE, 0.25), Threshold("*", "time_per_caption", Against.LIMIT, 1.0, "why")]}
    levels = []
    for each in ({}, skips):
        run = run_of(record("fp32"), record("int8", skips=each), timed=blocks(0.5))
        time = next(v for v in judge_run(run, lines, METRICS, {}) if v.metric == "time_per_caption")
        assert time.estimate is not None
        levels.append(time.estimate.level)
    assert levels[1] < levels[0]  # alone in its family, it may spend all of the error


def test_blocks_without_energy_and_values_below_idle_are_said() -> None:
    nothing = [replace(block, energy={}) for block in blocks(0.5)]
    assert "no block measured energy" in verdict(nothing, threshold(Against.LIMIT, 1.0)).sentence
    below = [replace(block, energy={"fp32": 1.0, "int8": -2.0}) for block in blocks(0.5)]
    found = verdict(below, threshold(Against.REFERENCE, 0.0))
    assert found.outcome is Outcome.UNRESOLVED and "-2 J a caption above the idle power" in found.sentence


def test_values_are_logarithms_paired_where_a_reference_is_named() -> None:
    timed = blocks(0.5, (0.0, 0.0))
    assert energy_values(timed, "int8", "fp32") == pytest.approx((math.log(0.5),) * 2)
    assert energy_values(timed, "int8") == pytest.approx((math.log(10.0), math.log(11.0)))
    assert FP32.endswith("/d")
