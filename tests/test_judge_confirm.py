"""A noisy fail asks for new blocks; they confirm or refute it, and both figures are kept."""

import math
from dataclasses import replace

import pytest
from judging import CASE, baseline_of, blocks, judge, line, record, wobble

from vlmgate.judge import to_confirm, undecided
from vlmgate.judge.confirm import CONFIRMED, CONFIRMING, NEEDED, REFUTED
from vlmgate.judge.exits import CONTAMINATED, exit_status
from vlmgate.spec import Change, Failure, Outcome

SPEED = "time_per_caption"
FLOOR = line(SPEED, "reference", 1.7)
TIMED = baseline_of(record("int8"), [math.log(1.5) + w for w in wobble(24, turn=4)])


def fresh(speed_up, n=CONFIRMING, **more):
    return tuple(replace(block, role="confirm", index=block.index + 100) for block in blocks(speed_up, n, **more))


def test_a_noisy_fail_is_to_be_confirmed():
    found = judge(FLOOR, timed=blocks(1.5), confirmed=False)
    assert (found.outcome, found.change, found.confirm, found.confirmation) == (Outcome.UNRESOLVED, Change.UNKNOWN, NEEDED, None)
    assert to_confirm([found]) == {CASE} and not undecided([found], {CASE})
    assert "not confirmed: these blocks miss the line, but only 0 of the 6 new ones" in found.sentence
    assert found.sentence.endswith("go on with --resume, and with more time if that ended")


@pytest.mark.parametrize(("speed_up", "outcome", "state"), [(1.5, Outcome.FAIL, CONFIRMED), (1.8, Outcome.UNRESOLVED, REFUTED)])
def test_new_blocks_confirm_or_refute(speed_up, outcome, state):
    found = judge(FLOOR, timed=[*blocks(1.5), *fresh(speed_up)])
    assert (found.outcome, found.confirm) == (outcome, state)
    assert found.estimate.centre == pytest.approx(1.5, rel=0.01), "the first look is kept"
    assert found.confirmation.centre == pytest.approx(speed_up, rel=0.01)
    assert f"6 new blocks gave {speed_up:.3g}×" in found.sentence and "1.5×" in found.sentence
    assert not to_confirm([found]) and not undecided([found], {CASE})


def test_a_mean_on_the_bad_side_confirms_when_all_blocks_together_still_miss_the_line():
    noisy = judge(FLOOR, timed=[*blocks(1.5), *fresh(1.6, sd=0.1)])
    assert noisy.confirm == CONFIRMED and noisy.confirmation.high > 1.7
    noisier = judge(FLOOR, timed=[*blocks(1.5), *fresh(1.6, sd=0.5)])
    assert (noisier.outcome, noisier.confirm) == (Outcome.UNRESOLVED, REFUTED)
    assert noisier.confirmation.centre < 1.7
    assert "the interval over all 12 blocks, old and new, reaches the good side of the line" in noisier.sentence


def test_too_few_new_blocks_leave_it_open():
    found = judge(FLOOR, timed=[*blocks(1.5), *fresh(1.8, n=CONFIRMING - 1)])
    assert (found.outcome, found.confirm) == (Outcome.UNRESOLVED, NEEDED)
    assert "only 5 of the 6 new ones" in found.sentence


def test_new_blocks_are_no_evidence_for_a_line_that_holds():
    floor = line(SPEED, "reference", 1.3)
    assert judge(floor, timed=[*blocks(1.5), *fresh(1.0)]) == judge(floor, timed=blocks(1.5))


def test_contaminated_new_blocks_confirm_nothing():
    moved = [*blocks(1.5), *fresh(1.5, placebo=1.1)]
    found = judge(FLOOR, timed=moved)
    assert (found.outcome, found.confirm, found.contaminated) == (Outcome.UNRESOLVED, NEEDED, True)
    assert to_confirm([found]) == {CASE}, "they are measured once more"
    assert "the 6 new blocks that were to confirm it cannot: contaminated: the placebo" in found.sentence
    assert exit_status([found], strict=True) == CONTAMINATED
    for placebo, end in ((1.0, (Outcome.FAIL, CONFIRMED, False)), (1.1, (Outcome.UNRESOLVED, REFUTED, True))):
        again = [replace(block, role="reconfirm") for block in fresh(1.5, placebo=placebo)]
        found = judge(FLOOR, timed=[*moved, *again])
        assert (found.outcome, found.confirm, found.contaminated) == end and not to_confirm([found])
        assert judge(FLOOR, timed=[*moved, *again[:-1]]).confirm == NEEDED, "a second try that was cut short replaces nothing"


@pytest.mark.parametrize(("against", "number"), [("limit", 0.06), ("baseline", 0.03)])
def test_other_lines_of_speed_are_confirmed_too(against, number):
    asked, given = line(SPEED, against, number), {"baseline": TIMED} if against == "baseline" else {}
    slow = 1.2 if against == "baseline" else 1.5
    assert judge(asked, timed=blocks(slow), confirmed=False, **given).confirm == NEEDED
    assert judge(asked, timed=[*blocks(slow), *fresh(slow)], **given).confirm == CONFIRMED
    assert judge(asked, timed=[*blocks(slow), *fresh(2.0)], **given).confirm == REFUTED


def test_what_needs_no_confirmation():
    crash = Failure("int8", "loading", "SIGKILL", "killed")
    for found in (
        judge(line("size", "limit", 1.0)),
        judge(line("peak_memory", "limit", 1.0)),
        judge(FLOOR, record("int8", failure=crash), timed=blocks()),
    ):
        assert (found.outcome, found.confirm) == (Outcome.FAIL, "")
        assert not to_confirm([found])
