"""Exit statuses: a fail first, and what cannot be told only where it must be told."""

import pytest

from vlmgate.judge import exit_status
from vlmgate.judge.exits import CONTAMINATED, FAILED, PASSED, UNRESOLVED, USAGE
from vlmgate.spec import Against, Outcome, Question, Verdict

PASS, FAIL, OPEN, WAIVED, SKIP = Outcome.PASS, Outcome.FAIL, Outcome.UNRESOLVED, Outcome.WAIVED, Outcome.SKIP


def verdict(outcome, contaminated=False):
    return Verdict("c", "m", Question.LATENCY, Against.LIMIT, outcome, "", contaminated=contaminated)


@pytest.mark.parametrize(
    ("outcomes", "plain", "strict"),
    [
        ([], PASSED, PASSED),
        ([PASS, SKIP], PASSED, PASSED),
        ([PASS, WAIVED], PASSED, PASSED),
        ([PASS, OPEN], PASSED, UNRESOLVED),
        ([OPEN, FAIL], FAILED, FAILED),
    ],
)
def test_the_worst_outcome_decides(outcomes, plain, strict):
    found = [verdict(outcome) for outcome in outcomes]
    assert (exit_status(found, strict=False), exit_status(found, strict=True)) == (plain, strict)


def test_contamination_has_a_status_of_its_own():
    found = [verdict(OPEN), verdict(OPEN, contaminated=True)]
    assert (exit_status(found, strict=False), exit_status(found, strict=True)) == (PASSED, CONTAMINATED)
    assert exit_status([*found, verdict(FAIL)], strict=True) == FAILED


def test_no_two_statuses_are_alike():
    assert len({PASSED, FAILED, UNRESOLVED, USAGE, CONTAMINATED}) == 5
