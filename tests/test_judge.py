"""The truth table: every outcome and change for every kind of line, and what no case may ever do."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import CASE, FP32, baseline_of, block, blocks, judge, line, record, run_of, statistics, wobble
from scipy import stats

from vlmgate.judge import (
    FAMILY_ERROR,
    LOOKS,
    PASS_ERROR,
    change,
    decide,
    decided_share,
    goal,
    judge_run,
    undecided,
)
from vlmgate.judge.energy import energy_values
from vlmgate.judge.speed import ASSUMED_SD, PROMOTED_SD
from vlmgate.metrics import METRICS
from vlmgate.spec import Against, Baseline, Better, Change, Estimate, Failure, Outcome, Question, Settings, Verdict
from vlmgate.stats import look_levels

PASS, FAIL, UNRESOLVED, SKIP = Outcome.PASS, Outcome.FAIL, Outcome.UNRESOLVED, Outcome.SKIP
IMPROVED, UNCHANGED, REGRESSED, UNKNOWN = Change.IMPROVED, Change.UNCHANGED, Change.REGRESSED, Change.UNKNOWN
SPEED, PEAK, BLEU = "time_per_caption", "peak_memory", "bleu_4"
KILLED = Failure("int8", "loading", "SIGKILL", "the worker was killed by SIGKILL", "last words")

INT8 = record("int8")
THEN = [math.log(1.5) + w for w in wobble(24, turn=4)]  # of a run at 1.5×
TIMED = baseline_of(INT8, THEN)


def exact(**values: float) -> Any:
    return record("int8", exact=INT8.exact | values)


def memory(*values: float) -> Any:
    return record("int8", memory={PEAK: values})


def quality(**changes: Any) -> Any:
    return record("int8", quality=statistics(**changes))


def since(**values: float) -> Any:
    return {"baseline": baseline_of(exact(**values))}


def then(**changes: Any) -> Any:
    return {"reference": record("fp32", **changes)}


NO_SCORE = record("fp32", quality=dict.fromkeys(statistics(), (0.0,) * 13))
# captions of ten words, none of which is in a reference: only smoothing gives them a BLEU
BABBLE = record("int8", quality=dict.fromkeys(statistics(), (0.0,) * 4 + (10.0, 9.0, 8.0, 7.0, 10.0, 10.0, 0.0, 0.0, 10.0)))
DUMB, BARE, IDLE = record("int8", quality=NO_SCORE.quality), record("int8", exact={}), exact(low_precision_share=0.0)

JOULES = "energy_per_caption"


def joules(speed_up: float, n: int = 6) -> Baseline:
    """A baseline of the energy that such blocks measure."""
    return baseline_of(INT8, blocks={JOULES: energy_values(blocks(speed_up, n), "int8")})


def burnt(**arms: float) -> Any:
    """Six blocks whose arms used so many joules a caption, and others none that were counted."""
    return {"timed": [replace(each, energy=arms) for each in blocks(1.5)]}


def spoiled(variant: str) -> Any:
    """Captions whose scores are kept, and whose statistics of one image are nan."""
    return record(variant, quality=statistics() | {"0": (math.nan,) * 13}, scores=INT8.scores)


NAN_SPEED, NAN_JOULES = (baseline_of(INT8, blocks={metric: (math.nan, *THEN)}) for metric in (SPEED, JOULES))


TABLE: dict[str, tuple[str, str, float, dict[str, Any], Outcome, Change]] = {
    # speed against the reference: a floor on a speed-up
    "speed above its floor": (SPEED, "reference", 1.3, {"timed": blocks(1.5)}, PASS, UNKNOWN),
    "speed below its floor": (SPEED, "reference", 1.7, {"timed": blocks(1.5)}, FAIL, UNKNOWN),
    "speed at its floor": (SPEED, "reference", 1.5, {"timed": blocks(1.5)}, UNRESOLVED, UNKNOWN),
    "speed of a slower variant": (SPEED, "reference", 1.0, {"timed": blocks(0.7)}, FAIL, UNKNOWN),
    "speed of an equal variant": (SPEED, "reference", 1.0, {"timed": blocks(1.0)}, UNRESOLVED, UNKNOWN),
    "speed of one block": (SPEED, "reference", 1.3, {"timed": blocks(1.5, n=1)}, UNRESOLVED, UNKNOWN),
    "speed of one block, far off": (SPEED, "reference", 9.0, {"timed": blocks(1.5, n=1)}, UNRESOLVED, UNKNOWN),
    "speed of no block": (SPEED, "reference", 1.3, {}, UNRESOLVED, UNKNOWN),
    "speed of one block, spread known": (SPEED, "reference", 1.3, {"timed": blocks(1.5, n=1), "baseline": TIMED}, PASS, UNKNOWN),
    "speed without timing": (SPEED, "reference", 1.3, {"timed": blocks(1.5), "timing": False}, SKIP, UNKNOWN),
    "speed, contaminated": (SPEED, "reference", 1.3, {"timed": blocks(1.5, placebo=1.1)}, UNRESOLVED, UNKNOWN),
    "slow, contaminated": (SPEED, "reference", 1.7, {"timed": blocks(1.5, placebo=1.1)}, UNRESOLVED, UNKNOWN),
    "speed against another reference than then": (
        SPEED,
        "baseline",
        0.15,
        {"timed": blocks(1.5), "baseline": replace(TIMED, reference="m/onnx/d")},
        SKIP,
        UNKNOWN,
    ),
    "speed, placebo off within the margin": (SPEED, "reference", 1.3, {"timed": blocks(1.5, placebo=1.01)}, PASS, UNKNOWN),
    "speed, placebo too noisy to tell": (
        SPEED,
        "reference",
        1.3,
        {"timed": blocks(1.5, placebo=1.05, placebo_sd=0.2)},
        PASS,
        UNKNOWN,
    ),
    "speed, blocks all equal": (SPEED, "reference", 1.3, {"timed": blocks(1.5, sd=0.0)}, UNRESOLVED, UNKNOWN),
    "slow, blocks all equal": (SPEED, "reference", 1.7, {"timed": blocks(1.5, sd=0.0)}, UNRESOLVED, UNKNOWN),
    "speed, blocks all equal, spread known": (
        SPEED,
        "reference",
        1.3,
        {"timed": blocks(1.5, sd=0.0), "baseline": TIMED},
        PASS,
        UNKNOWN,
    ),
    # time against a limit in seconds
    "time below its limit": (SPEED, "limit", 0.08, {"timed": blocks(1.5)}, PASS, UNKNOWN),
    "time above its limit": (SPEED, "limit", 0.06, {"timed": blocks(1.5)}, FAIL, UNKNOWN),
    "time at its limit": (SPEED, "limit", 0.1 / 1.5, {"timed": blocks(1.5)}, UNRESOLVED, UNKNOWN),
    "time of one block": (SPEED, "limit", 9.0, {"timed": blocks(1.5, n=1)}, UNRESOLVED, UNKNOWN),
    "time, contaminated": (SPEED, "limit", 0.08, {"timed": blocks(1.5, placebo=1.1)}, UNRESOLVED, UNKNOWN),
    # speed against the baseline
    "speed unchanged": (SPEED, "baseline", 0.15, {"timed": blocks(1.5), "baseline": TIMED}, PASS, UNCHANGED),
    "speed improved": (SPEED, "baseline", 0.15, {"timed": blocks(2.0), "baseline": TIMED}, PASS, IMPROVED),
    "speed regressed": (SPEED, "baseline", 0.15, {"timed": blocks(1.0), "baseline": TIMED}, FAIL, REGRESSED),
    "speed at its tolerance": (SPEED, "baseline", 0.15, {"timed": blocks(1.275), "baseline": TIMED}, UNRESOLVED, UNKNOWN),
    "speed better by the tolerance": (SPEED, "baseline", 0.15, {"timed": blocks(1.725), "baseline": TIMED}, PASS, UNKNOWN),
    "speed regressed, contaminated": (
        SPEED,
        "baseline",
        0.15,
        {"timed": blocks(1.0, placebo=1.1), "baseline": TIMED},
        UNRESOLVED,
        UNKNOWN,
    ),
    "speed, no baseline": (SPEED, "baseline", 0.15, {"timed": blocks(1.5)}, SKIP, UNKNOWN),
    "speed, baseline without times": (
        SPEED,
        "baseline",
        0.15,
        {"timed": blocks(1.5), "baseline": baseline_of(INT8)},
        SKIP,
        UNKNOWN,
    ),
    "speed, baseline of one block": (
        SPEED,
        "baseline",
        0.15,
        {"timed": blocks(1.5), "baseline": baseline_of(INT8, THEN[:1])},
        SKIP,
        UNKNOWN,
    ),
    "speed, nan in the baseline": (SPEED, "baseline", 0.15, {"timed": blocks(1.5), "baseline": NAN_SPEED}, UNRESOLVED, UNKNOWN),
    "speed, nan in a baseline that is not asked": (
        SPEED,
        "reference",
        1.3,
        {"timed": blocks(1.5), "baseline": NAN_SPEED},
        PASS,
        UNKNOWN,
    ),
    "speed, baseline but no block": (SPEED, "baseline", 0.15, {"baseline": TIMED}, UNRESOLVED, UNKNOWN),
    # memory
    "memory saved": (PEAK, "reference", 0.4, {}, PASS, UNKNOWN),
    "memory not saved": (PEAK, "reference", 0.6, {}, FAIL, UNKNOWN),
    "memory at its floor": (PEAK, "reference", 0.5, {}, UNRESOLVED, UNKNOWN),
    "memory below its limit": (PEAK, "limit", 2.2e8, {}, PASS, UNKNOWN),
    "memory above its limit": (PEAK, "limit", 1.8e8, {}, FAIL, UNKNOWN),
    "memory at its limit": (PEAK, "limit", 2e8, {}, UNRESOLVED, UNKNOWN),
    "memory unchanged": (PEAK, "baseline", 0.05, {"baseline": baseline_of(INT8)}, PASS, UNCHANGED),
    "memory grown": (PEAK, "baseline", 0.05, {"baseline": baseline_of(memory(1.5e8))}, FAIL, REGRESSED),
    "memory shrunk": (PEAK, "baseline", 0.05, {"baseline": baseline_of(memory(3e8))}, PASS, IMPROVED),
    "memory at its tolerance": (PEAK, "baseline", 0.05, {"baseline": baseline_of(memory(2e8 / 1.05))}, UNRESOLVED, UNKNOWN),
    "memory is nan in the reference": (PEAK, "reference", 0.1, then(memory={PEAK: (math.nan,)}), UNRESOLVED, UNKNOWN),
    "memory is nan in the baseline": (PEAK, "baseline", 0.1, {"baseline": baseline_of(memory(math.nan))}, UNRESOLVED, UNKNOWN),
    "memory, no baseline": (PEAK, "baseline", 0.05, {}, SKIP, UNKNOWN),
    "memory, baseline without": (PEAK, "baseline", 0.05, {"baseline": baseline_of(memory())}, SKIP, UNKNOWN),
    "memory not measured": (PEAK, "limit", 1e9, {"case": memory()}, UNRESOLVED, UNKNOWN),
    "memory of the reference not measured": (
        PEAK,
        "reference",
        0.1,
        then(memory={}),
        UNRESOLVED,
        UNKNOWN,
    ),
    "memory is nan": (PEAK, "limit", 1e9, {"case": memory(math.nan)}, UNRESOLVED, UNKNOWN),
    "memory is nothing": (PEAK, "limit", 1e9, {"case": memory(0.0, 0.0)}, UNRESOLVED, UNKNOWN),
    "memory all over the place": (PEAK, "reference", 0.1, {"case": memory(1e6, 1e9)}, UNRESOLVED, UNKNOWN),
    # exact values; on the line is on the good side
    "size on its floor": ("size", "reference", 0.75, {}, PASS, UNKNOWN),
    "size just under its floor": ("size", "reference", math.nextafter(0.75, 1), {}, FAIL, UNKNOWN),
    "size on a floor that binary cannot write": ("size", "reference", 0.1, {"case": exact(size=90e6)}, PASS, UNKNOWN),
    "size on its limit": ("size", "limit", 25e6, {}, PASS, UNKNOWN),
    "size a byte over its limit": ("size", "limit", 25e6 - 1, {}, FAIL, UNKNOWN),
    "size unchanged": ("size", "baseline", 0.0, since(), PASS, UNCHANGED),
    "size on its tolerance": ("size", "baseline", 0.25, since(size=20e6), PASS, UNCHANGED),
    "size over its tolerance": ("size", "baseline", 0.25, since(size=19.99e6), FAIL, REGRESSED),
    "size shrunk": ("size", "baseline", 0.25, since(size=40e6), PASS, IMPROVED),
    "size, no baseline": ("size", "baseline", 0.25, {}, SKIP, UNKNOWN),
    "size, missing": ("size", "limit", 25e6, {"case": BARE}, UNRESOLVED, UNKNOWN),
    "size, missing in the reference": ("size", "reference", 0.1, then(exact={}), UNRESOLVED, UNKNOWN),
    "size, zero in the reference": ("size", "reference", 0.1, then(exact={"size": 0.0}), UNRESOLVED, UNKNOWN),
    "size, missing in the baseline": ("size", "baseline", 0.1, {"baseline": baseline_of(BARE)}, SKIP, UNKNOWN),
    "size, missing but in the baseline": (
        "size",
        "baseline",
        0.1,
        {"case": BARE, "baseline": baseline_of(INT8)},
        UNRESOLVED,
        UNKNOWN,
    ),
    "size is nan": ("size", "limit", 25e6, {"case": exact(size=math.nan)}, UNRESOLVED, UNKNOWN),
    "size is infinite": ("size", "limit", 25e6, {"case": exact(size=-math.inf)}, UNRESOLVED, UNKNOWN),
    "size of nothing": ("size", "limit", 25e6, {"case": exact(size=0.0)}, UNRESOLVED, UNKNOWN),
    "size of nothing, saved": ("size", "reference", 0.7, {"case": exact(size=0.0)}, UNRESOLVED, UNKNOWN),
    "size of less than nothing": ("size", "baseline", 0.1, {"case": exact(size=-1.0), **since()}, UNRESOLVED, UNKNOWN),
    "size is nan in the baseline": ("size", "baseline", 0.1, since(size=math.nan), SKIP, UNKNOWN),
    "share on its limit": ("low_precision_share", "limit", 0.9, {}, PASS, UNKNOWN),
    "a variant that did nothing": ("low_precision_share", "limit", 0.3, {"case": IDLE}, FAIL, UNKNOWN),
    "share still zero": ("sparsity", "baseline", 0.1, {"case": exact(sparsity=0.0), **since(sparsity=0.0)}, PASS, UNCHANGED),
    "share grown from zero": ("sparsity", "baseline", 0.1, {"case": exact(sparsity=0.5), **since(sparsity=0.0)}, PASS, IMPROVED),
    "share lost": ("sparsity", "baseline", 0.1, {"case": exact(sparsity=0.0), **since(sparsity=0.5)}, FAIL, REGRESSED),
    "no empty caption then or now": (
        "empty_share",
        "baseline",
        0.1,
        {"case": exact(empty_share=0.0), **since(empty_share=0.0)},
        PASS,
        UNCHANGED,
    ),
    "the first empty captions": (
        "empty_share",
        "baseline",
        0.1,
        {"case": exact(empty_share=0.01), **since(empty_share=0.0)},
        FAIL,
        REGRESSED,
    ),
    # quality
    "identical captions": (BLEU, "reference", 1.0, {}, PASS, UNKNOWN),
    "most captions": (BLEU, "reference", 0.8, {"case": quality(hits=37)}, PASS, UNKNOWN),
    "captions near the floor": (BLEU, "reference", 0.95, {"case": quality(hits=37)}, UNRESOLVED, UNKNOWN),
    "damaged captions": (BLEU, "reference", 0.95, {"case": quality(hits=5)}, FAIL, UNKNOWN),
    "collapsed captions": ("cider", "reference", 0.5, {"case": DUMB}, FAIL, UNKNOWN),
    "quality on its limit": (BLEU, "limit", INT8.scores[BLEU], {}, PASS, UNKNOWN),
    "quality under its limit": (BLEU, "limit", math.nextafter(INT8.scores[BLEU], 2), {}, FAIL, UNKNOWN),
    "reference without a score": ("cider", "reference", 0.0, {"reference": NO_SCORE}, UNRESOLVED, UNKNOWN),
    "neither scores": ("cider", "reference", 0.0, {"case": DUMB, "reference": NO_SCORE}, UNRESOLVED, UNKNOWN),
    "reference matches nothing": (BLEU, "reference", 0.0, then(quality=BABBLE.quality), UNRESOLVED, UNKNOWN),
    "neither matches anything": (BLEU, "reference", 0.0, {"case": BABBLE, **then(quality=BABBLE.quality)}, UNRESOLVED, UNKNOWN),
    "matches nothing": (BLEU, "reference", 0.5, {"case": BABBLE}, FAIL, UNKNOWN),
    "matches nothing, limit": (BLEU, "limit", 1e-9, {"case": BABBLE}, FAIL, UNKNOWN),
    "baseline matches nothing": (BLEU, "baseline", 0.02, {"baseline": baseline_of(BABBLE)}, UNRESOLVED, UNKNOWN),
    "nothing matched then or now": (
        BLEU,
        "baseline",
        0.02,
        {"case": BABBLE, "baseline": baseline_of(BABBLE)},
        UNRESOLVED,
        UNKNOWN,
    ),
    "no captions": (BLEU, "reference", 0.5, {"case": record("int8", quality={})}, UNRESOLVED, UNKNOWN),
    "no captions of the reference": (BLEU, "reference", 0.5, then(quality={}), UNRESOLVED, UNKNOWN),
    "no captions, limit": (BLEU, "limit", 0.5, {"case": record("int8", quality={})}, UNRESOLVED, UNKNOWN),
    "statistics are nan": (BLEU, "reference", 0.5, {"case": spoiled("int8")}, UNRESOLVED, UNKNOWN),
    "statistics of the reference are nan": (BLEU, "reference", 0.5, {"reference": spoiled("fp32")}, UNRESOLVED, UNKNOWN),
    "score is nan": (BLEU, "limit", 0.5, {"case": record("int8", scores={BLEU: math.nan})}, UNRESOLVED, UNKNOWN),
    "score is nan in the baseline": (BLEU, "baseline", 0.5, {"baseline": replace(TIMED, scores={BLEU: math.nan})}, SKIP, UNKNOWN),
    "score is infinite": (BLEU, "limit", 0.5, {"case": record("int8", scores={BLEU: math.inf})}, UNRESOLVED, UNKNOWN),
    "quality unchanged": (BLEU, "baseline", 0.0, {"baseline": baseline_of(INT8)}, PASS, UNCHANGED),
    "quality regressed": (BLEU, "baseline", 0.02, {"case": quality(hits=37), "baseline": baseline_of(INT8)}, FAIL, REGRESSED),
    "quality improved": (BLEU, "baseline", 0.02, {"baseline": baseline_of(quality(hits=37))}, PASS, IMPROVED),
    "quality, no score in the baseline": ("cider", "baseline", 0.02, {"baseline": baseline_of(DUMB)}, UNRESOLVED, UNKNOWN),
    "energy, saved": (JOULES, "reference", 0.2, {"timed": blocks(1.5)}, PASS, UNKNOWN),
    "energy, not saved": (JOULES, "reference", 0.5, {"timed": blocks(1.5)}, FAIL, UNKNOWN),
    "energy below its limit": (JOULES, "limit", 1000.0, {"timed": blocks(1.5)}, PASS, UNKNOWN),
    "energy above its limit": (JOULES, "limit", 0.001, {"timed": blocks(1.5)}, FAIL, UNKNOWN),
    "energy unchanged": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": joules(1.5)}, PASS, UNCHANGED),
    "energy regressed": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": joules(3.0)}, FAIL, REGRESSED),
    "energy improved": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": joules(0.8)}, PASS, IMPROVED),
    "energy at its floor": (JOULES, "reference", 1 / 3, {"timed": blocks(1.5)}, UNRESOLVED, UNKNOWN),
    "energy at its limit": (JOULES, "limit", 20 / 1.5, {"timed": blocks(1.5)}, UNRESOLVED, UNKNOWN),
    "energy at its tolerance": (JOULES, "baseline", 0.2, {"timed": blocks(1.25), "baseline": joules(1.5)}, UNRESOLVED, UNKNOWN),
    "energy, contaminated": (JOULES, "reference", 0.2, {"timed": blocks(1.5, placebo=1.1)}, UNRESOLVED, UNKNOWN),
    "energy regressed, contaminated": (
        JOULES,
        "baseline",
        0.2,
        {"timed": blocks(1.5, placebo=1.1), "baseline": joules(3.0)},
        UNRESOLVED,
        UNKNOWN,
    ),
    "energy, blocks all equal": (JOULES, "reference", 0.2, {"timed": blocks(1.5, sd=0.0)}, UNRESOLVED, UNKNOWN),
    "energy of one block": (JOULES, "limit", 1e9, {"timed": blocks(1.5, n=1)}, UNRESOLVED, UNKNOWN),
    "energy of no block": (JOULES, "limit", 1e9, {}, UNRESOLVED, UNKNOWN),
    "energy without timing": (JOULES, "limit", 1e9, {"timed": blocks(1.5), "timing": False}, SKIP, UNKNOWN),
    "energy is nan": (JOULES, "limit", 1e9, burnt(int8=math.nan), UNRESOLVED, UNKNOWN),
    "energy of the reference is nan": (JOULES, "reference", 0.2, burnt(int8=1.0, fp32=math.nan), UNRESOLVED, UNKNOWN),
    "energy of the reference is missing": (JOULES, "reference", 0.2, burnt(int8=1.0), UNRESOLVED, UNKNOWN),
    "energy, nan in the baseline": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": NAN_JOULES}, UNRESOLVED, UNKNOWN),
    "energy, baseline of one block": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": joules(1.5, 1)}, SKIP, UNKNOWN),
    "energy, no baseline": (JOULES, "baseline", 0.2, {"timed": blocks(1.5)}, SKIP, UNKNOWN),
    "energy, baseline without": (JOULES, "baseline", 0.2, {"timed": blocks(1.5), "baseline": baseline_of(INT8)}, SKIP, UNKNOWN),
    "quality, baseline without": (BLEU, "baseline", 0.02, {"baseline": baseline_of(record("int8", quality={}))}, SKIP, UNKNOWN),
}


@pytest.mark.parametrize("row", TABLE)
def test_truth_table(row):
    metric, against, number, given_, outcome, changed = TABLE[row]
    found = judge(line(metric, against, number), **given_)
    assert (found.outcome, found.change) == (outcome, changed), found.sentence


def test_the_table_holds_every_outcome_and_change_of_every_kind_of_line():
    """No outcome is left out: what is exact (a size, a score) is unresolved where it was not measured or is nan, and only there.

    A skip belongs to a baseline that is not there; what skips any line (timing switched off, a case that cannot run) is below.
    """
    rows = [
        (METRICS[metric].question, Against(against), outcome, changed)
        for metric, against, _, _, outcome, changed in TABLE.values()
    ]
    outcomes = {(question, against, outcome) for question, against, outcome, _ in rows}
    asked = {(q, against, outcome) for q in Question for against in Against for outcome in (PASS, FAIL, UNRESOLVED)}
    assert outcomes >= asked | {(question, Against.BASELINE, SKIP) for question in Question}
    changes = {(question, changed) for question, against, _, changed in rows if against is Against.BASELINE}
    assert changes == {(question, changed) for question in Question for changed in Change}
    assert {changed for _, against, _, changed in rows if against is not Against.BASELINE} == {UNKNOWN}


ANY_LINE = [(SPEED, "reference"), (SPEED, "baseline"), (PEAK, "limit"), ("size", "reference"), (BLEU, "baseline")]


@pytest.mark.parametrize(("metric", "against"), ANY_LINE)
def test_a_failed_case_fails_whatever_was_asked(metric, against):
    found = judge(line(metric, against, 0.0), replace(INT8, failure=KILLED), timed=blocks())
    assert found.outcome is FAIL
    assert "SIGKILL" in found.sentence


def test_a_failed_case_fails_in_every_question_even_without_thresholds():
    found = judge_run(run_of(record("fp32"), replace(INT8, failure=KILLED)), {}, METRICS, {})
    assert [(v.case, v.question, v.outcome) for v in found] == [(CASE, question, FAIL) for question in Question]


@pytest.mark.parametrize(("metric", "against"), ANY_LINE)
def test_a_skipped_case_is_skipped_whatever_was_asked(metric, against):
    found = judge(line(metric, against, 0.0), replace(INT8, skip="needs a CUDA device"), timed=blocks())
    assert found.outcome is SKIP
    assert "needs a CUDA device" in found.sentence


def test_a_question_that_cannot_be_asked_is_skipped_and_the_others_are_judged():
    case = replace(INT8, skips={Question.QUALITY: "random weights"}, quality={}, scores={})
    asked = {CASE: [line(BLEU, "reference", 0.9), line("agreement", "limit", 0.9), line("size", "reference", 0.7)]}
    found = judge_run(run_of(record("fp32"), case), asked, METRICS, {})
    assert [v.outcome for v in found] == [SKIP, SKIP, PASS]
    assert all("random weights" in v.sentence for v in found[:2])


@pytest.mark.parametrize("change", [{"failure": KILLED}, {"skip": "no weights"}])
@pytest.mark.parametrize("metric", [SPEED, PEAK, "size", BLEU])
def test_without_its_reference_a_floor_is_unresolved(metric, change):
    found = judge(line(metric, "reference", 0.0), reference=record("fp32", **change), timed=blocks())
    assert found.outcome is UNRESOLVED
    assert f"the reference {FP32} was not measured" in found.sentence


@pytest.mark.parametrize("metric", [SPEED, "size"])
def test_a_reference_that_is_not_in_the_run_is_unresolved(metric):
    found = judge_run(run_of(INT8, timed=blocks()), {CASE: [line(metric, "reference", 0.0)]}, METRICS, {})
    assert [v.outcome for v in found] == [UNRESOLVED]


def test_the_reference_is_not_held_against_itself():
    found = judge(line("size", "reference", 0.1, case=FP32))
    assert (found.outcome, "this is the reference itself" in found.sentence) == (SKIP, True)


def test_only_the_questions_of_the_case_are_judged():
    run = run_of(record("fp32"), replace(INT8, questions=(Question.SIZE,)))
    found = judge_run(run, {CASE: [line("size", "limit", 1e9), line(PEAK, "limit", 1e9)]}, METRICS, {})
    assert [v.metric for v in found] == ["size"]


def test_no_baseline_yet_names_the_command():
    found = judge(line("size", "baseline", 0.1))
    assert f"no baseline yet: promote a good run with `vlmgate promote r1 --cases '{CASE}'`" in found.sentence


@pytest.mark.parametrize(
    ("different", "named"),
    [
        ({"settings": Settings(batch=4)}, "batch (4 then, 1 now)"),
        ({"settings": Settings(threads=1, image_size=224)}, "threads (1 then, 2 now), image_size (224 then, None now)"),
        ({"settings": Settings(timed_images=2)}, "timed_images (2 then, 8 now)"),
        ({"settings": Settings(beams=4)}, "beams (4 then, 1 now)"),
        (
            {"settings": Settings(top_k=5, temperature=0.5, seed=1)},
            "top_k (5 then, 0 now), temperature (0.5 then, 1.0 now), seed (1 then, 0 now)",
        ),
        ({"dataset": "another"}, "image files (sha256)"),
    ],
)
@pytest.mark.parametrize("metric", [SPEED, PEAK, BLEU])
def test_a_baseline_measured_otherwise_is_no_baseline(metric, different, named):
    found = judge(line(metric, "baseline", 0.9), timed=blocks(), baseline=replace(TIMED, **different))
    assert found.outcome is SKIP
    assert f"the baseline was measured with other {named};" in found.sentence


def test_a_size_is_the_same_whatever_the_settings():
    other = replace(TIMED, settings=Settings(batch=4))
    assert judge(line("size", "baseline", 0.0), baseline=other).outcome is PASS


def test_more_blocks_of_the_same_kind_do_not_make_another_measurement():
    other = replace(TIMED, settings=Settings(blocks=6, processes=3))
    assert judge(line(SPEED, "baseline", 0.15), timed=blocks(), baseline=other).outcome is PASS


def test_a_spread_that_was_promoted_with_other_settings_is_not_borrowed():
    other = replace(TIMED, settings=Settings(batch=4))
    assert judge(line(SPEED, "reference", 1.3), timed=blocks(n=1), baseline=other).outcome is UNRESOLVED


def test_a_promoted_spread_of_nothing_is_not_borrowed():
    flat = baseline_of(INT8, [0.4] * 24)
    assert judge(line(SPEED, "reference", 1.3), timed=blocks(n=1), baseline=flat).outcome is UNRESOLVED


def test_an_int8_artefact_that_computes_in_full_precision_fails_without_a_threshold():
    run = run_of(record("fp32"), exact(low_precision_kernels=0.0))
    (found,) = judge_run(run, {}, METRICS, {})
    assert (found.case, found.metric, found.question, found.outcome) == (CASE, "low_precision_kernels", Question.SIZE, FAIL)
    assert (
        f"{CASE}: its recipe promises INT8 kernels, and of the products of a profiled call none ran in INT8; " in found.sentence
    )
    assert judge_run(run_of(record("fp32"), exact(low_precision_kernels=0.2)), {}, METRICS, {}) == ()
    only_speed = replace(exact(low_precision_kernels=0.0), questions=(Question.LATENCY,))
    assert judge_run(run_of(record("fp32"), only_speed), {}, METRICS, {}) == ()


def test_an_artefact_that_does_not_reload_fails_without_any_threshold():
    run = run_of(record("fp32"), exact(reloads=0.0))
    found = judge_run(run, {}, METRICS, {})
    assert [(v.case, v.metric, v.question, v.outcome) for v in found] == [(CASE, "reloads", Question.SIZE, FAIL)]
    assert judge_run(run_of(record("fp32"), INT8), {}, METRICS, {}) == ()


def test_broken_times_spoil_one_verdict_and_not_the_run():
    lines = [line(SPEED, "reference", 1.3), line("size", "limit", 1e9)]
    run = run_of(record("fp32"), INT8, timed=[*blocks(), block(6, fp32=0.1, int8=math.nan, placebo=0.1)])
    found = judge_run(run, {CASE: lines}, METRICS, {})
    assert [v.outcome for v in found] == [UNRESOLVED, PASS]
    assert "the measurement is broken" in found[0].sentence


def test_captions_of_other_images_are_not_paired():
    moved = {str(int(key) + 1): row for key, row in statistics().items()}
    found = judge(line(BLEU, "reference", 0.5), record("int8", quality=moved))
    assert (found.outcome, "other images" in found.sentence) == (UNRESOLVED, True)


@pytest.mark.parametrize("metric", ["size", BLEU])
def test_nothing_is_rounded_before_it_is_compared(metric):
    value = INT8.exact["size"] if metric == "size" else INT8.scores[metric]
    worse = math.nextafter(value, 0 if metric == "size" else 2)
    found = judge(line(metric, "limit", worse))
    assert found.outcome is FAIL
    shown = "25 MB" if metric == "size" else "1"
    assert f" {shown} misses its " in found.sentence and f" of {shown} against suite.yaml" in found.sentence


# a promoted level, then a slower, an equal and a faster variant


@pytest.mark.parametrize(("now", "outcome", "changed"), [(1.0, FAIL, REGRESSED), (1.2, PASS, UNCHANGED), (1.5, PASS, IMPROVED)])
@pytest.mark.parametrize("n", LOOKS)
def test_a_variant_slowed_down_after_promotion_is_red(now, outcome, changed, n):
    promoted = baseline_of(INT8, [math.log(1.2) + w for w in wobble(24, turn=9)])
    tolerance = 0.03 if outcome is FAIL else 0.12
    found = judge(line(SPEED, "baseline", tolerance), timed=blocks(now, n=n), baseline=promoted)
    assert (found.outcome, found.change) == (outcome, changed), found.sentence


@pytest.mark.parametrize(("seconds", "outcome"), [(0.125, FAIL), (0.1, PASS), (0.08, PASS)])
def test_a_reference_is_held_against_its_own_past_by_the_yardstick(seconds, outcome):
    """A change that slows reference and variant alike leaves the speed-up alone; only the yardstick sees it."""
    reference, timed = record("fp32"), blocks(reference=seconds)
    promoted = baseline_of(reference, [math.log(0.02 / 0.1) + w for w in wobble(24, turn=9)])
    found = judge(line(SPEED, "baseline", 0.12, case=FP32), timed=timed, baseline=promoted)
    assert found.outcome is outcome, found.sentence
    assert judge(line(SPEED, "reference", 1.3), timed=timed).outcome is PASS


# the rule and its interval


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@given(FLOATS, FLOATS, FLOATS, st.sampled_from(Better))
def test_decide_is_the_rule(low, high, number, better):
    found = decide(Estimate(1.0, low, high, 6, 0.9, ""), number, better)
    good = low >= number if better is Better.HIGHER else high <= number
    bad = high < number if better is Better.HIGHER else low > number
    if not low <= high or math.isnan(number):
        assert found is UNRESOLVED
    else:
        assert found is (PASS if good else FAIL if bad else UNRESOLVED)


@pytest.mark.parametrize(
    ("low", "high", "better", "outcome"),
    [
        (1.0, 1.2, Better.HIGHER, PASS),
        (0.8, 1.0, Better.HIGHER, UNRESOLVED),
        (0.8, math.nextafter(1, 0), Better.HIGHER, FAIL),
        (1.0, 1.0, Better.HIGHER, PASS),
        (0.8, 1.0, Better.LOWER, PASS),
        (1.0, 1.2, Better.LOWER, UNRESOLVED),
        (math.nextafter(1, 2), 1.2, Better.LOWER, FAIL),
        (1.0, 1.0, Better.LOWER, PASS),
        (-math.inf, math.inf, Better.HIGHER, UNRESOLVED),
        (-math.inf, math.inf, Better.LOWER, UNRESOLVED),
        (math.nan, math.nan, Better.HIGHER, UNRESOLVED),
        (math.nan, 0.5, Better.LOWER, UNRESOLVED),
        (0.5, math.nan, Better.HIGHER, UNRESOLVED),
    ],
)
def test_on_the_line_is_on_the_good_side(low, high, better, outcome):
    assert decide(Estimate(1.0, low, high, 6, 0.9, ""), 1.0, better) is outcome


@pytest.mark.parametrize("against", list(Against))
def test_verdict_and_printed_interval_agree(against):
    rng, seen, metric = np.random.default_rng(5), set(), METRICS[SPEED]
    number = {Against.REFERENCE: 1.5, Against.BASELINE: 0.05, Against.LIMIT: 0.1 / 1.5}[against]
    asked = line(SPEED, against, number)
    for _ in range(60):
        timed = blocks(float(rng.uniform(1.1, 2)), n=int(rng.integers(2, 30)), sd=float(rng.uniform(0.001, 0.1)))
        found = judge(asked, timed=timed, baseline=TIMED)
        assert found.estimate is not None
        assert found.outcome is decide(found.estimate, *goal(asked, metric))
        assert found.change is change(found.estimate, asked, metric)
        assert (found.change is Change.REGRESSED) == (found.outcome is FAIL and against is Against.BASELINE)
        seen.add(found.outcome)
    assert seen == {PASS, FAIL, UNRESOLVED}


def log_ends(number_of_lines: int, n: int = 6, sd: float = 0.05) -> tuple[float, float, float]:
    """Distances of the lower and the upper end from the centre, and the level."""
    lines = [line(SPEED, "reference", 1.3), *[line(PEAK, "limit", 1e9 + i) for i in range(number_of_lines - 1)]]
    found = judge(lines, timed=blocks(n=n, sd=sd)).estimate
    assert found is not None
    return math.log(found.centre / found.low), math.log(found.high / found.centre), found.level


@pytest.mark.parametrize("n", [2, 5, 6, 11, 12, 24, 40])
def test_the_ends_are_t_quantiles_of_the_two_errors(n):
    """Scipy's t is the oracle; the look is the last one that the blocks have reached, the first below it."""
    look = sum(n >= size for size in LOOKS[1:])
    values = np.asarray(wobble(n, 0.05, 1))
    error = values.std(ddof=1) / math.sqrt(n)
    low, high, level = log_ends(10, n)
    good, bad = look_levels(PASS_ERROR, LOOKS)[look], look_levels(FAMILY_ERROR / 10, LOOKS)[look]
    assert low == pytest.approx(stats.t.isf(good, n - 1) * error)
    assert high == pytest.approx(stats.t.isf(bad, n - 1) * error)
    assert level == pytest.approx(1 - good - bad)


@pytest.mark.parametrize("n", [6, 12, 24])
def test_steady_blocks_are_held_to_an_assumed_spread_and_to_half_of_it_once_one_is_promoted(n):
    look = sum(n >= size for size in LOOKS[1:])
    good, bad = look_levels(PASS_ERROR, LOOKS)[look], look_levels(FAMILY_ERROR / 10, LOOKS)[look]
    low, high, _ = log_ends(10, n, 0.001)
    assert (low, high) == pytest.approx([stats.norm.isf(error) * ASSUMED_SD / math.sqrt(n) for error in (good, bad)])
    promoted = baseline_of(INT8, [math.log(1.2) + w for w in wobble(24, 0.001, turn=9)])
    known = judge(line(SPEED, "reference", 1.3), timed=blocks(n=n, sd=0.001), baseline=promoted).estimate
    assert math.log(known.centre / known.low) == pytest.approx(stats.norm.isf(good) * PROMOTED_SD / math.sqrt(n))
    since = judge(line(SPEED, "baseline", 0.03), timed=blocks(n=n, sd=0.001), baseline=promoted).estimate
    assert "no narrower than for an sd of 0.015" in since.signature


def test_more_lines_move_the_failing_end_only():
    one, many = log_ends(1), log_ends(20)
    assert many[0] == pytest.approx(one[0])
    assert many[1] > one[1] > one[0]


@pytest.mark.parametrize("extra", ["size", "empty_share", BLEU])
def test_exact_lines_and_quality_are_in_no_family_of_speed(extra):
    lines = [line(SPEED, "reference", 1.3), line(extra, "limit", 0.5)]
    assert judge(lines, timed=blocks()).estimate == judge(lines[:1], timed=blocks()).estimate


def test_quality_is_a_family_of_retentions():
    case, floor = quality(hits=30), line(BLEU, "reference", 0.5)
    alone = judge(floor, case).estimate
    assert judge([floor, line("cider", "limit", 1.0), line("cider", "baseline", 0.1)], case).estimate == alone
    wider = judge([floor, line("cider", "reference", 0.5)], case).estimate
    assert alone is not None and wider is not None
    assert wider.low == alone.low and wider.high > alone.high


def test_stopping_early_or_out_of_time_never_spends_more_than_the_error():
    """Looks at 6, 12 and 24 and one more wherever the time budget ended: the levels used add up to no more than was given."""
    levels = look_levels(PASS_ERROR, LOOKS)
    for end in range(1, 24):
        looks = [size for size in LOOKS if size <= end] + ([] if end in LOOKS else [end])
        used = [levels[max((i for i, size in enumerate(LOOKS) if n >= size), default=0)] for n in looks]
        assert sum(used) <= PASS_ERROR + 1e-12


def test_identical_arms_are_neither_faster_nor_contaminated():
    found = judge(line(SPEED, "reference", 0.9), timed=blocks(1.0))
    assert (found.outcome, judge(line(SPEED, "reference", 1.1), timed=blocks(1.0)).outcome) == (PASS, FAIL)


def test_a_variant_is_judged_on_its_own_blocks():
    """It dropped out after the first look; the blocks of the others are no evidence on it, and the look stays the first."""
    later = [replace(b, times={arm: t for arm, t in b.times.items() if arm != "int8"}) for b in blocks(n=12)]
    asked = line(SPEED, "reference", 1.3)
    assert judge(asked, timed=[*blocks(), *later]) == judge(asked, timed=blocks())
    other = [replace(b, model="other/d") for b in blocks(0.5)]
    assert judge(asked, timed=[*blocks(), *other]) == judge(asked, timed=blocks())


def test_judging_twice_gives_the_same_to_the_last_digit():
    lines = [line(SPEED, "reference", 1.3), line(BLEU, "reference", 0.9), line(PEAK, "reference", 0.1)]
    run = run_of(record("fp32"), quality(hits=37), timed=blocks())
    assert judge_run(run, {CASE: lines}, METRICS, {}) == judge_run(run, {CASE: lines}, METRICS, {})


def verdict(outcome: Outcome, question: Question = Question.LATENCY, case: str = CASE) -> Verdict:
    return Verdict(case, "x", question, Against.LIMIT, outcome, "")


def test_the_share_decided_leaves_out_what_was_not_asked():
    assert decided_share([verdict(PASS), verdict(FAIL), verdict(UNRESOLVED), verdict(SKIP)]) == (2, 3)
    assert decided_share([verdict(SKIP)]) == (0, 0)
    assert decided_share([]) == (0, 0)


def test_only_unresolved_speed_and_energy_call_for_more_blocks():
    joules = Estimate(0.2, 0.1, 0.3, 6, 0.95, "ratio")
    verdicts = [
        verdict(UNRESOLVED),
        verdict(PASS),
        verdict(UNRESOLVED, Question.QUALITY, "m/a/d"),
        verdict(FAIL, case="m/b/d"),
        verdict(UNRESOLVED, case="other/int8/d"),
        replace(verdict(UNRESOLVED, Question.ENERGY, "m/c/d"), estimate=joules),
        replace(verdict(PASS, Question.ENERGY, "m/e/d"), estimate=joules),
        verdict(UNRESOLVED, Question.ENERGY, "m/f/d"),  # no block measured any, and no further one would
    ]
    assert undecided(verdicts, {CASE, *(f"m/{name}/d" for name in "abcef")}) == {CASE, "m/c/d"}
