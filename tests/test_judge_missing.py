"""A case that vanishes fails; one that was deselected, is of another tier or is new does not."""

from dataclasses import replace

import pytest
from judging import CASE, FP32, baseline_of, judge, line, record, run_of

from vlmgate.judge import judge_run
from vlmgate.judge.missing import MISSING, absent, lost, questions_of
from vlmgate.metrics import METRICS
from vlmgate.spec import Failure, Other, Outcome, Question

TIER = "smoke"  # of the runs of judging.py
OLD = replace(baseline_of(record("old", id="m/old/d"), [0.1, 0.2]), tier=TIER)
KNOWN = {OLD.case: OLD}
DECLARED = dict.fromkeys((CASE, FP32), tuple(Question))
HELD = (Question.LATENCY, Question.MEMORY, Question.SIZE, Question.QUALITY)  # what OLD answers


def found(run, baselines=KNOWN, declared=DECLARED):
    return [v for v in judge_run(run, {}, METRICS, baselines, declared=declared) if v.metric == MISSING]


def whole(**changes):
    return run_of(record("fp32"), record("int8"), whole=True, **changes)


def test_a_case_that_is_no_longer_declared_fails_in_every_question_it_answered():
    verdicts = found(whole())
    assert [(v.case, v.question, v.outcome) for v in verdicts] == [("m/old/d", q, Outcome.FAIL) for q in HELD]
    assert "it was promoted from r0 in tier smoke, which no longer declares it" in verdicts[0].sentence
    assert "delete its file below baselines/here" in verdicts[0].sentence


def test_only_what_the_baseline_holds_is_asked():
    only = replace(OLD, blocks={}, memory={}, scores={})
    assert questions_of(only) == (Question.SIZE,)
    assert questions_of(replace(only, exact={}, blocks={"energy_per_caption": (1.0,)})) == (Question.ENERGY,)
    assert [v.question for v in found(whole(), {only.case: only})] == [Question.SIZE]


@pytest.mark.parametrize(
    ("run", "baselines", "declared"),
    [
        (replace(whole(), whole=False), KNOWN, DECLARED),  # something was deselected
        (whole(), {OLD.case: replace(OLD, tier="full")}, DECLARED),  # another tier
        (whole(), {OLD.case: replace(OLD, tier="")}, DECLARED),  # from before tiers were kept
        (whole(), KNOWN, {**DECLARED, OLD.case: HELD}),  # declared, whatever became of it
        (whole(), KNOWN, None),  # the suite does not know this tier
        (whole(), {}, DECLARED),
        (run_of(record("fp32"), record("old", id=OLD.case), whole=True), KNOWN, DECLARED),  # it ran
    ],
)
def test_not_judged(run, baselines, declared):
    assert found(run, baselines, declared) == []


def test_a_selected_missing_case_is_judged_in_what_was_asked_of_it():
    run = run_of(record("fp32"), absent={OLD.case: (Question.SIZE,)})
    assert [(v.case, v.question) for v in found(run, declared=None)] == [(OLD.case, Question.SIZE)]
    assert found(run, {}) == [], "its baseline was deleted: it is meant to be gone"
    (later,) = found(run, declared={**DECLARED, OLD.case: HELD})
    assert "no longer declares it" in later.sentence, "that it is declared again since does not change what the run found"


def test_a_renamed_case_is_told_its_likely_new_name():
    renamed = record("old2", id="m/old2/d")
    assert "renamed to m/old2/d, which has no baseline yet?" in found(run_of(renamed, whole=True))[0].sentence
    assert "renamed" not in found(whole(), KNOWN | {c: baseline_of(record("x", id=c)) for c in DECLARED})[0].sentence


def test_what_is_absent_from_a_tier():
    assert absent(KNOWN, TIER, DECLARED) == {OLD.case: HELD}
    assert absent(KNOWN, "", DECLARED) == absent(KNOWN, "full", DECLARED) == absent(KNOWN, TIER, {OLD.case: HELD}) == {}


def test_a_case_that_ran_here_and_is_skipped_now_fails():
    idle, then = record("int8", skip="needs bitsandbytes"), baseline_of(record("int8"))
    verdicts = found(run_of(record("fp32"), idle), {CASE: then})
    assert [v.question for v in verdicts] == [Question.MEMORY, Question.SIZE, Question.QUALITY]
    assert "it ran here when r0 was promoted and is skipped now: needs bitsandbytes" in verdicts[0].sentence
    assert found(run_of(record("fp32"), idle), {}) == [], "a case that never ran here may be skipped"


def test_a_question_that_is_skipped_now_fails_alone():
    half, then = record("int8", skips={"quality": "random weights"}), baseline_of(record("int8"))
    assert [v.question for v in lost(half, then)] == [Question.QUALITY]
    assert lost(replace(half, questions=(Question.SIZE,)), then) == [], "it was not asked"


SIZE_ALONE = run_of(record("fp32"), record("int8", questions=(Question.SIZE,)), whole=True)
LESS = {**DECLARED, CASE: (Question.SIZE,)}
THEN = replace(baseline_of(record("int8"), [0.1, 0.2]), tier=TIER)


def test_a_question_that_is_no_longer_asked_fails():
    verdicts = found(SIZE_ALONE, {CASE: THEN}, LESS)
    dropped = (Question.LATENCY, Question.MEMORY, Question.QUALITY)
    assert [(v.case, v.question, v.outcome) for v in verdicts] == [(CASE, question, Outcome.FAIL) for question in dropped]
    assert verdicts[0].sentence == (
        f"{CASE}: missing: it answered latency when r0 was promoted, and tier smoke no longer asks that; ask it again, or if it "
        f"is meant to go promote a run without it (vlmgate promote --cases '{CASE}' --force)"
    )
    some = replace(SIZE_ALONE, whole=False, absent={CASE: (Question.MEMORY,)})
    assert [v.question for v in found(some, {CASE: THEN}, None)] == [Question.MEMORY], "the others were deselected"


@pytest.mark.parametrize(
    ("run", "then", "declared"),
    [
        (replace(SIZE_ALONE, whole=False), THEN, LESS),  # deselected by hand
        (SIZE_ALONE, replace(THEN, tier="full"), LESS),  # asked in another tier
        (SIZE_ALONE, replace(THEN, questions=(Question.SIZE,)), LESS),  # the rest was measured for others
        (SIZE_ALONE, THEN, None),
        (whole(), THEN, LESS),  # asked in this run, though suite.yaml as it is now does not
    ],
)
def test_questions_that_nobody_misses(run, then, declared):
    assert found(run, {CASE: then}, declared) == []


def test_a_question_that_was_promoted_away_is_no_longer_missed():
    run = replace(SIZE_ALONE, absent={CASE: (Question.LATENCY,)})
    assert [v.question for v in found(run, {CASE: THEN}, None)] == [Question.LATENCY]
    assert found(run, {CASE: replace(THEN, questions=(Question.SIZE,))}, None) == []


def test_a_question_that_only_the_other_side_asks_fails():
    run = replace(SIZE_ALONE, other=Other("main", {}, declared={CASE: (Question.SIZE, Question.ENERGY)}))
    (verdict,) = found(run, {}, LESS)
    assert (verdict.question, verdict.outcome) == (Question.ENERGY, Outcome.FAIL)
    assert "main asks energy of it in tier smoke, and this side does not; ask it again, or" in verdict.sentence
    assert f"deselect it (-k 'not (energy and {CASE})')" in verdict.sentence and "promote" not in verdict.sentence


def test_a_crash_is_not_also_missing():
    assert lost(record("int8", failure=Failure("int8", "loading", "SIGKILL", "")), baseline_of(record("int8"))) == []


def test_a_new_case_is_no_baseline_yet():
    new = judge(line("size", "baseline", 0.1))
    assert (
        new.outcome is Outcome.SKIP
        and f"no baseline yet: promote a good run with `vlmgate promote r1 --cases '{CASE}'`" in new.sentence
    )


def beside(**changes):
    """A run with --against whose other side declares OLD too."""
    declared = {OLD.case: (Question.LATENCY, Question.ENERGY), CASE: HELD}
    return replace(whole(), other=Other("main", {}, declared=declared), **changes)


def test_a_case_that_only_the_other_side_declares_fails_in_every_question_it_asks_there():
    verdicts = found(beside(), {})
    assert [(v.case, v.question, v.outcome) for v in verdicts] == [
        (OLD.case, Question.LATENCY, Outcome.FAIL),
        (OLD.case, Question.ENERGY, Outcome.FAIL),
    ]
    assert "missing: main declares it in tier smoke, and this side does not; declare it again" in verdicts[0].sentence
    assert f"-k 'not {OLD.case}'" in verdicts[0].sentence and "baseline" not in verdicts[0].sentence
    new = beside(cases=(record("old2", id="m/old2/d"),))
    assert "(renamed to m/old2/d, which main lacks?)" in found(new, {})[0].sentence
    assert [v.question for v in found(beside())] == list(Question), "what either knows is asked"


def test_what_was_deselected_of_the_other_side_is_not_judged():
    assert found(beside(whole=False), {}) == []
    only = beside(whole=False, absent={OLD.case: (Question.ENERGY,)})
    assert [v.question for v in found(only, {}, declared=None)] == [Question.ENERGY]
    assert found(beside(), {}, {**DECLARED, OLD.case: tuple(Question)}) == [], "it is declared, whatever became of it"


def test_a_case_that_is_skipped_here_and_runs_there_fails():
    idle, there = record("int8", skip="needs bitsandbytes"), Other("main", {}, (record("int8"),))
    verdicts = found(replace(run_of(record("fp32"), idle), other=there), {})
    assert [v.question for v in verdicts] == [Question.MEMORY, Question.SIZE, Question.QUALITY]
    assert "it runs as main has it and is skipped now: needs bitsandbytes; make it run again" in verdicts[0].sentence
