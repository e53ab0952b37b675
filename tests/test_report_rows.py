"""Rows, groups and counts against values worked out by hand."""

import math
from dataclasses import replace

import pytest
from runs import NO_CUDA, block, blocks, make_run, record, with_outcomes

from vlmgate.report.rows import Row, counts, groups, rows
from vlmgate.spec import Outcome, Run

INT8 = "scene-blip/int8-dynamic/scenes"
# the sample deviation of WOBBLE is √(0.0028 ÷ 5); Student's t for 95 % on 5 df is 2.570582
HALF = 2.570582 * math.sqrt(0.0028 / 5) / math.sqrt(6)


def by_case(run: Run) -> dict[str, Row]:
    return {row.case: row for row in rows(run)}


def test_counts_by_hand() -> None:
    of = counts(make_run())
    assert (of.passed, of.failed, of.unresolved, of.skipped, of.decided, of.gates) == (5, 3, 1, 2, 8, 9)
    assert of.share == pytest.approx(8 / 9)


def test_no_gate_has_no_share() -> None:
    assert counts(make_run(verdicts=())).share is None
    assert counts(with_outcomes(make_run(), Outcome.SKIP)).share is None
    assert counts(with_outcomes(make_run(), Outcome.UNRESOLVED)).share == 0


def test_a_row_a_case_in_order() -> None:
    run = make_run()
    assert [row.case for row in rows(run)] == [case.id for case in run.cases]


def test_int8_row_by_hand() -> None:
    row = by_case(make_run())[INT8]
    assert row.seconds == pytest.approx(0.064)  # the slow round of each image does not move a median
    assert row.images_per_second == pytest.approx(15.625)
    assert row.speed_up is not None
    assert row.speed_up.n == 6
    assert row.speed_up.centre == pytest.approx(1.25)
    assert row.speed_up.low == pytest.approx(1.25 * math.exp(-HALF), rel=1e-6)
    assert row.speed_up.high == pytest.approx(1.25 * math.exp(HALF), rel=1e-6)
    assert (row.peak_memory, row.memory_ratio) == (250e6, 0.5)
    assert (row.size, row.size_ratio) == (10e6, 0.25)
    assert row.scores["bleu_4"] == 0.784
    assert row.retention["bleu_4"] == pytest.approx(0.98)
    assert row.retention["cider"] == pytest.approx(0.99)
    assert row.reference == "fp32"


def test_peaks_are_those_of_several_processes() -> None:
    found = by_case(make_run())
    assert found["blip-base/fp32/scenes"].peaks == (2e9, 2.2e9)
    assert found[INT8].peaks == () and found["blip-base/fp16-cuda/scenes"].peaks == ()  # one process, and none


def test_reference_row_is_one() -> None:
    row = by_case(make_run())["scene-blip/fp32/scenes"]
    assert row.speed_up is not None
    assert (row.speed_up.centre, row.speed_up.low, row.speed_up.high) == (1, 1, 1)
    assert (row.memory_ratio, row.size_ratio, row.retention["cider"], row.reference) == (1, 1, 1, "")


def test_several_processes_give_the_geometric_mean() -> None:
    peak = by_case(make_run())["blip-base/fp32/scenes"].peak_memory
    assert peak == pytest.approx(math.sqrt(2e9 * 2.2e9))


def test_verdict_is_the_worst() -> None:
    words = {case: row.verdict for case, row in by_case(make_run()).items()}
    assert words[INT8] is Outcome.UNRESOLVED  # though it passes three others
    assert words["scene-blip/pruned/scenes"] is Outcome.FAIL
    assert words["blip-base/fp16-cuda/scenes"] is Outcome.SKIP
    assert words["scene-blip/fp32/scenes"] is None


def test_what_was_not_measured_is_none() -> None:
    found = by_case(make_run())
    skipped, killed = found["blip-base/fp16-cuda/scenes"], found["blip-base/int8-dynamic/scenes"]
    for row in (skipped, killed):
        assert {row.seconds, row.speed_up, row.images_per_second, row.peak_memory, row.memory_ratio} == {None}
        assert {row.size, row.size_ratio} == {None}
        assert not row.scores
        assert not row.retention
    assert skipped.text == NO_CUDA
    assert killed.text == "SIGKILL while loading: the worker was killed by SIGKILL"


def test_skip_and_failure_speak_without_gates() -> None:
    found = by_case(make_run(verdicts=()))
    assert found["blip-base/fp16-cuda/scenes"].verdict is Outcome.SKIP
    assert found["blip-base/int8-dynamic/scenes"].verdict is Outcome.FAIL
    assert found[INT8].verdict is None


def test_a_lost_reference_gives_no_ratios() -> None:
    run = make_run()
    row = by_case(replace(run, cases=run.cases[1:]))[INT8]
    assert row.seconds == pytest.approx(0.064)
    assert (row.speed_up, row.memory_ratio, row.size_ratio, dict(row.retention)) == (None, None, None, {})


def test_a_score_of_zero_has_no_retention_against_it() -> None:
    cases = (record("m", "fp32", scores={"cider": 0.0}), record("m", "x", scores={"cider": 1.0}))
    assert by_case(make_run(cases=cases, verdicts=(), blocks=()))["m/x/scenes"].retention == {}


def test_groups_and_placebo_by_hand() -> None:
    scene, base = groups(make_run())
    assert (scene.label, scene.reference, scene.blocks, len(scene.rows)) == ("scene-blip", "fp32", 6, 3)
    assert base.label == "blip-base"
    assert scene.placebo is not None
    assert scene.placebo.centre == pytest.approx(1)
    assert scene.placebo.low < math.exp(-HALF) < math.exp(HALF) < scene.placebo.high  # judged at more than 95 %
    assert not scene.contaminated


def test_contaminated_placebo() -> None:
    slow = blocks("scene-blip/scenes", {"fp32": 0.080, "placebo": 0.090})
    assert groups(make_run(blocks=slow))[0].contaminated


def test_placebo_needs_two_blocks() -> None:
    one = (block("scene-blip/scenes", 0, {"fp32": 0.080, "placebo": 0.080, "int8-dynamic": 0.064}),)
    run = make_run(blocks=one)
    assert groups(run)[0].placebo is None
    speed = by_case(run)[INT8].speed_up
    assert speed is not None
    assert speed.centre == pytest.approx(1.25)
    assert math.isinf(speed.high)


def test_placebo_of_a_group_whose_reference_is_no_case() -> None:
    run = make_run()
    group = groups(replace(run, cases=run.cases[1:3]))[0]
    assert group.reference == "fp32"
    assert group.placebo is not None
    assert group.placebo.centre == pytest.approx(1)


def test_two_datasets_of_a_model_are_told_apart() -> None:
    cases = (record("m", "fp32"), record("m", "fp32", id="m/fp32/photos", dataset="photos"))
    assert [group.label for group in groups(make_run(cases=cases, verdicts=()))] == ["m on scenes", "m on photos"]


def test_an_empty_run() -> None:
    run = make_run(cases=(), verdicts=(), blocks=(), failures=())
    assert rows(run) == []
    assert groups(run) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize("arm", ["fp32", "int8-dynamic"])
def test_a_time_that_is_none_costs_its_cases_their_figures_of_time_and_nothing_else(arm: str, value: float) -> None:
    run = make_run()
    spoiled = replace(run.blocks[0], times={**run.blocks[0].times, arm: ((value, value, value), (0.1, 0.1, 0.1))})
    broken = replace(run, blocks=(spoiled, *run.blocks[1:]))
    before, after = by_case(run), by_case(broken)
    row = after[INT8]
    assert (row.seconds, row.speed_up, row.anatomy) == (None, None, None) and row.size == before[INT8].size
    if arm != "fp32":  # the others do not rest on it
        assert [each for each in after.values() if each.case != INT8] == [each for each in before.values() if each.case != INT8]
    (of, *_) = groups(broken)
    assert (of.placebo is None) == (arm == "fp32") and of.blocks == 6


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_yardstick_that_is_none_is_left_out(value: float) -> None:
    run = make_run()
    broken = replace(run, blocks=(replace(run.blocks[0], yardstick=(value,)), *run.blocks[1:]))
    assert len(groups(broken)[0].yardstick) == len(groups(run)[0].yardstick) - 1
