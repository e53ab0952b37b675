"""Speed against another side of the same run: paired by block, deaf to what both workers of a block share, red when slower."""

import math
from dataclasses import replace
from typing import Any

import pytest
from judging import CASE, FP32, blocks, confirming, line, record, run_of

from vlmgate.judge import contaminated_groups, judge_run
from vlmgate.judge.evidence import Evidence, evidence_of
from vlmgate.judge.paired import paired, partners
from vlmgate.metrics import METRICS
from vlmgate.spec import Block, Failure, Other, Outcome, Run, Verdict

TOLERANCE = line("time_per_caption", "baseline", 0.15)


def beside(now: float = 1.5, then: float = 1.5, drift: float = 0.0, n: int = 6, **changes: Any) -> Run:
    """INT8 takes 0.1 s ÷ ``now`` here and 0.1 s ÷ ``then`` there; the machine gets slower by ``drift`` from block to block."""

    def drifting(speed: float) -> tuple[Any, ...]:
        made = blocks(speed, n, sd=0.002)
        slow = [math.exp(drift * each.index) for each in made]
        return tuple(
            replace(each, times={arm: tuple(tuple(t * s for t in image) for image in times) for arm, times in each.times.items()})
            for each, s in zip(made, slow, strict=True)
        )

    there = tuple(
        replace(each, times={arm: tuple(tuple(t * math.exp(0.003 * (-1) ** each.index) for t in i) for i in times)
                             for arm, times in each.times.items()})
        for each in drifting(then)
    )  # fmt: skip
    cases = changes.pop("cases", (record("fp32"), record("int8")))
    other = Other("main", {"commit": "c" * 40, "python": "3.11", "versions": {"torch": "1"}}, cases, there)
    made = drifting(now)
    timed, other = (*made, *confirming(made)), replace(other, blocks=(*there, *confirming(there)))
    return replace(run_of(record("fp32"), record("int8"), timed=timed), other=replace(other, **changes))


def verdict(run: Run, *more: Any) -> Verdict:
    return next(v for v in judge_run(run, {CASE: [TOLERANCE, *more]}, METRICS, {}) if v.case == CASE)


def test_the_value_is_the_log_speed_now_over_then_of_the_case_itself() -> None:
    each = next(found for found in evidence_of(beside(1.2, 1.5), {}) if found.record.id == CASE)
    assert sum(paired(each)) / 6 == pytest.approx(math.log(1.2 / 1.5))
    assert len(partners(each)) == 6


@pytest.mark.parametrize(
    ("now", "then", "outcome"),
    [(1.5, 1.5, Outcome.PASS), (1.5, 1.0, Outcome.PASS), (1.0, 1.5, Outcome.FAIL), (1.5 * 0.85, 1.5, Outcome.UNRESOLVED)],
)
def test_slower_fails_alike_passes_near_is_unresolved(now: float, then: float, outcome: Outcome) -> None:
    found = verdict(beside(now, then))
    assert found.outcome is outcome, found.sentence
    assert "against main, measured beside it" in found.sentence
    assert "baseline" not in found.sentence and "promote" not in found.sentence


@pytest.mark.parametrize("metric", ["size", "peak_memory", "cider", "energy_per_caption"])
def test_the_other_side_is_named_and_no_promotion_advised(metric: str) -> None:
    """There is no baseline whose loss could be mended by promoting."""
    bare = record("int8", exact={}, memory={}, scores={})
    asked = line(metric, "baseline", 0.1)
    for cases in ((record("fp32"), record("int8", exact={"size": 1e9})), (record("fp32"), bare)):
        found = next(v for v in judge_run(beside(cases=cases), {CASE: [asked]}, METRICS, {}) if v.metric == metric)
        assert "main" in found.sentence, found.sentence
        assert "baseline" not in found.sentence and "promote" not in found.sentence
    assert (found.outcome, found.sentence) == (Outcome.SKIP, f"{CASE}: {metric} skip: main has no {metric} to compare with")


def test_a_machine_that_gets_slower_meets_both_sides() -> None:
    assert verdict(beside(drift=0.2)).outcome is Outcome.PASS  # at the end 2.7 times as slow as at first


def test_no_spread_between_runs_is_assumed() -> None:
    found = verdict(beside(n=24))
    assert found.estimate and found.estimate.high / found.estimate.low < 1.04


def test_blocks_are_paired_by_role_and_index() -> None:
    run = beside()
    assert run.other
    some = tuple(block for block in run.other.blocks if block.index != 2)
    odd = (*some, replace(run.other.blocks[2], role="confirm"))
    each = next(found for found in evidence_of(replace(run, other=replace(run.other, blocks=odd)), {}) if found.record.id == CASE)
    assert len(paired(each)) == 5


def by_two(made: tuple[Block, ...]) -> tuple[Block, ...]:
    """The blocks by two workers each, first in turn: int8 in one of them, int4 in the other, where the machine is slower."""
    found: list[Block] = []
    for one in made:
        slow = {arm: tuple(tuple(1.2 * t for t in image) for image in times) for arm, times in one.times.items()}
        two = replace(one, times={"fp32": slow["fp32"], "placebo": slow["placebo"], "int4": slow["int8"]})
        found += (two, one) if one.index % 2 else (one, two)
    return tuple(found)


def shared(run: Run, *without: str) -> Run:
    """The run with each block shared by two workers; the other side has no worker with an arm of ``without``."""
    assert run.other
    there = tuple(block for block in by_two(run.other.blocks) if not {*without} & block.times.keys())
    cases = (record("fp32"), record("int8"), record("int4", reference=FP32))
    return replace(run, cases=cases, blocks=by_two(run.blocks), other=replace(run.other, cases=cases, blocks=there))


def twice_as_slow(run: Run) -> Run:
    """The run with all arms of this side slowed alike."""
    slow = ({arm: tuple(tuple(2 * t for t in i) for i in x) for arm, x in block.times.items()} for block in run.blocks)
    return replace(run, blocks=tuple(replace(block, times=times) for block, times in zip(run.blocks, slow, strict=True)))


def evidence(run: Run, case: str) -> Evidence:
    return next(found for found in evidence_of(run, {}) if found.record.id == case)


def test_of_two_workers_with_one_index_those_with_the_same_variants_are_paired() -> None:
    both, one = evidence(shared(beside()), FP32), evidence(shared(beside(), "int4"), FP32)
    for found, pairs in ((both, 12), (one, 6)):  # a partner that lacks is not replaced by another's
        assert len(paired(found)) == pairs and max(map(abs, paired(found))) < 0.004
        assert len({id(block) for block in partners(found)}) == pairs
    assert [len(paired(evidence(shared(beside()), f"m/{name}/d"))) for name in ("int8", "int4")] == [6, 6]
    line_of = [line("time_per_caption", "baseline", 0.15, FP32)]
    (found, *_) = (v for v in judge_run(shared(beside()), {FP32: line_of}, METRICS, {}) if v.case == FP32)
    assert found.outcome is Outcome.PASS, found.sentence


def test_two_workers_with_one_index_are_one_block_of_a_look_and_of_a_confirmation() -> None:
    assert [evidence(shared(beside(n=n)), FP32).look for n in (6, 11, 12)] == [0, 0, 1]
    slow = twice_as_slow(shared(beside()))
    asked = {FP32: [line("time_per_caption", "baseline", 0.15, FP32)]}
    assert [v.confirm for v in judge_run(slow, asked, METRICS, {}) if v.case == FP32] == ["confirmed"]
    few = replace(slow, blocks=tuple(block for block in slow.blocks if block.role == "look" or block.index < 3))
    (found,) = (v for v in judge_run(few, asked, METRICS, {}) if v.case == FP32)
    assert found.confirm == "needed" and "only 3 of the 6 new ones" in found.sentence


def test_a_placebo_that_moved_on_the_other_side_contaminates() -> None:
    run = beside(1.0, 1.5)
    assert run.other
    moved = tuple(
        replace(each, times={**each.times, "placebo": tuple(tuple(1.3 * t for t in i) for i in each.times["placebo"])})
        for each in run.other.blocks
    )
    run = replace(run, other=replace(run.other, blocks=moved))
    found = verdict(run)
    assert found.outcome is Outcome.UNRESOLVED and found.contaminated
    assert contaminated_groups(run, {}) == {"m/d"} and not contaminated_groups(replace(run, other=None), {})


def test_what_the_other_side_lacks_is_a_skip_with_its_reason() -> None:
    assert "main has no such case" in verdict(beside(cases=(record("fp32"),))).sentence
    crash = record("int8", failure=Failure("int8", "loading", "SIGSEGV", "crashed"))
    found = verdict(beside(cases=(record("fp32"), crash)))
    assert found.outcome is Outcome.SKIP and "main cannot run it: SIGSEGV: crashed" in found.sentence
    assert verdict(beside(blocks=())).outcome is Outcome.UNRESOLVED


def test_the_reference_is_compared_as_well() -> None:
    """Both arms slowed alike leave every speed-up as it was."""
    asked = {FP32: [line("time_per_caption", "baseline", 0.15, FP32)], CASE: [TOLERANCE]}
    verdicts = judge_run(twice_as_slow(beside()), asked, METRICS, {})
    assert {v.case: v.outcome for v in verdicts} == {FP32: Outcome.FAIL, CASE: Outcome.FAIL}
