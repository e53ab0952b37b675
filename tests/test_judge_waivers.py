"""A waiver accepts a fail until its date, says when it can go, and accepts nothing else."""

from dataclasses import replace
from datetime import date

import pytest
from judging import CASE, blocks, judge, line, record, run_of

from vlmgate.judge import to_confirm
from vlmgate.judge.waivers import in_force, waiver_of
from vlmgate.spec import Against, Failure, Outcome, Waiver

DAY = date(2025, 1, 1)  # on which the runs of judging.py started
WAIVER = Waiver("m/int8/*", "size", Outcome.FAIL, date(2025, 1, 31), "the embedding is not packed yet")
EXPIRED = replace(WAIVER, until=date(2024, 12, 31))
MISSED, HELD = line("size", "limit", 1e6), line("size", "limit", 30e6)


def test_a_fail_is_waived_until_its_date():
    found = judge(MISSED, waivers=[WAIVER])
    assert found.outcome is Outcome.WAIVED
    assert found.sentence.endswith("; waived until 2025-01-31: the embedding is not packed yet")


def test_an_expired_waiver_fails_and_says_so():
    found = judge(MISSED, waivers=[EXPIRED])
    assert found.outcome is Outcome.FAIL
    assert "its waiver expired on 2024-12-31 (the embedding is not packed yet): mend it, or renew" in found.sentence


@pytest.mark.parametrize("waiver", [WAIVER, EXPIRED])
def test_a_waived_line_that_holds_can_lose_its_waiver(waiver):
    found = judge(HELD, waivers=[waiver])
    assert found.outcome is Outcome.PASS and "can go from suite.yaml" in found.sentence


@pytest.mark.parametrize("other", [replace(WAIVER, cases="m/fp32/*"), replace(WAIVER, metric="cider")])
def test_other_cases_and_metrics_are_not_waived(other):
    assert judge(MISSED, waivers=[other]) == judge(MISSED)


def test_the_last_day_counts_and_the_last_waiver():
    run = run_of()
    assert in_force(replace(WAIVER, until=DAY), run)
    assert not in_force(replace(WAIVER, until=date(2024, 12, 31)), run) and not in_force(None, run)
    assert waiver_of([EXPIRED, WAIVER], CASE, "size", Against.LIMIT) is WAIVER
    assert waiver_of([WAIVER, EXPIRED], CASE, "size", Against.LIMIT) is EXPIRED


def test_a_waiver_of_one_kind_of_line_excuses_no_other():
    floor, limit = replace(WAIVER, against=Against.REFERENCE), replace(WAIVER, against=Against.LIMIT)
    assert judge(MISSED, waivers=[floor]) == judge(MISSED)
    assert judge(MISSED, waivers=[limit]).outcome is Outcome.WAIVED
    assert waiver_of([WAIVER, floor], CASE, "size", Against.BASELINE) is WAIVER


def test_a_crash_is_no_expected_fail():
    crashed = record("int8", failure=Failure("int8", "loading", "SIGKILL", "killed"))
    assert judge(MISSED, crashed, waivers=[WAIVER]).outcome is Outcome.FAIL


def test_unresolved_is_not_waived():
    nothing = record("int8", exact={})
    assert judge(MISSED, nothing, waivers=[WAIVER]).outcome is Outcome.UNRESOLVED


def test_a_waived_fail_of_speed_needs_no_new_blocks():
    slow = replace(WAIVER, metric="time_per_caption")
    found = judge(line("time_per_caption", "reference", 1.7), timed=blocks(1.5), waivers=[slow])
    assert (found.outcome, found.confirm, to_confirm([found])) == (Outcome.WAIVED, "", set())
