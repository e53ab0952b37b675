"""Energy from blocks: a saving against the reference of the same blocks, a limit in joules, a tolerance since the baseline."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from judging import FP32, baseline_of, record, run_of

from vlmgate.judge import judge_run
from vlmgate.judge.energy import ENERGY, energy_values
from vlmgate.metrics import METRICS
from vlmgate.spec import Against, Baseline, Block, Outcome, Question, Threshold, Verdict

CASE = "m/int8/d"
WOBBLE = (-0.02, 0.02, -0.01, 0.01, -0.03, 0.03)  # of the logarithm, one a block


def blocks(saving: float, wobble: Sequence[float] = WOBBLE) -> tuple[Block, ...]:
    """Blocks whose levels move by a tenth from one to the next, which pairing must take out; ``wobble`` remains."""
    times = dict.fromkeys(("fp32", "int8", "placebo"), ((0.1, 0.1), (0.1, 0.1)))
    levels = [20.0 * 1.1**i for i in range(len(wobble))]
    joules = [{"fp32": level, "int8": level * (1 - saving) * math.exp(w)} for level, w in zip(levels, wobble, strict=True)]
    return tuple(Block("m/d", i, i, (0, 1), times, {}, {}, (0.02,), 1.0, energy=arms) for i, arms in enumerate(joules))


def verdict(timed: Sequence[Block], line: Threshold, baseline: Baseline | None = None, **changes: object) -> Verdict:
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
